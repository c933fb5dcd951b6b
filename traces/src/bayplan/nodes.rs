//! Reads `nodes.csv`.

use super::columns::{Asked, Column, Rows, for_each_line};
use crate::decimal::{self, Rounding};
use crate::error::TraceError;
use crate::format::Role;
use crate::limits;
use crate::scenario;
use crate::text::{Cell, Line};
use crate::workload::Draft;
use cluster::constraint::Image;
use cluster::event::NodeEvent;
use cluster::id_map::IdMap;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::units::{Bytes, Instant};
use std::path::Path;

/// Whether a node is there, for refusing events that cannot be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Ready,
    Draining,
    Lost,
}

pub(super) fn read_nodes(path: &Path, draft: &mut Draft) -> Result<(), TraceError> {
    let needed: (fn(&Column) -> bool, _) = (|it| *it == Column::Name, "name");
    let mut rows = NodeRows { draft, presence: IdMap::default(), last: Instant::ZERO };
    for_each_line(path, Role::Nodes, needed, &mut rows)
}

struct NodeRows<'a> {
    draft: &'a mut Draft,
    presence: IdMap<String, Presence>,
    last: Instant,
}

impl Rows for NodeRows<'_> {
    fn row(
        &mut self,
        line: &Line<'_>,
        columns: &[Column],
        cells: &[Cell<'_>],
    ) -> Result<(), TraceError> {
        read_node(line, columns, cells, self.draft, &mut self.presence, &mut self.last)
    }
}

fn read_node(
    line: &Line<'_>,
    columns: &[Column],
    cells: &[Cell<'_>],
    draft: &mut Draft,
    presence: &mut IdMap<String, Presence>,
    last: &mut Instant,
) -> Result<(), TraceError> {
    let mut asked = Asked { count: 1, ..Asked::default() };
    let mut node = NodeSpec::default();
    let (mut at, mut event, mut name_cell, mut at_cell) =
        (Instant::ZERO, "join", cells[0], cells[0]);
    for (column, &cell) in columns.iter().zip(cells) {
        if *column == Column::Name {
            name_cell = cell;
        }
        if cell.text.is_empty() {
            // A label may be there and be empty: that is written in quotes.
            if let (Column::Label(label), true) = (column, line.is_quoted(cell)) {
                node.attributes.push((label.clone(), String::new()));
            }
            continue;
        }
        match column {
            Column::Name => node.name = cell.text.to_owned(),
            Column::Zone => node.zone = cell.text.to_owned(),
            Column::Label(label) => node.attributes.push((label.clone(), cell.text.to_owned())),
            Column::Taints => {
                let read: Option<_> = cell.text.split(';').map(scenario::taint_text).collect();
                node.taints = read.ok_or_else(|| {
                    line.bad(cell, "taints", "taints such as gpu=yes:NoSchedule;spot:NoExecute")
                })?;
            }
            Column::Images => {
                let read: Option<_> = cell.text.split('|').map(read_image).collect();
                node.images = read.ok_or_else(|| {
                    line.bad(cell, "images", "images such as nginx:1.27@180MiB|redis@40MiB")
                })?;
            }
            Column::Rank => {
                node.rank = Some(line.small(cell, "rank", "a whole number below 2^32")?);
            }
            Column::At(units) => {
                at = Instant(line.limited(cell, "at", *units, Rounding::Exact, limits::TIME)?);
                at_cell = cell;
            }
            Column::Event => {
                event = cell.text;
                if !["join", "lost", "returned", "draining", "updated"].contains(&event) {
                    let wanted = "`join`, `lost`, `returned`, `draining` or `updated`";
                    return Err(line.bad(cell, "event", wanted));
                }
            }
            other => {
                let taken = asked.take(line, other, cell)?;
                assert!(taken, "line {}: column {other:?} is not one of nodes", line.number);
            }
        }
    }
    if node.name.is_empty() {
        return Err(line.bad(name_cell, "name", "a node's name"));
    }
    if at < *last {
        return Err(TraceError::Backwards {
            place: line.place_of(at_cell),
            before: last.to_string(),
            found: at.to_string(),
        });
    }
    *last = at;
    node.attributes.sort_unstable();
    node.reserved_ports = asked.ports;
    node.capacity = NodeCapacity {
        amounts: asked.amounts,
        gpus: match (&asked.models[..], asked.gpus) {
            ([], count) => vec!["GPU".to_owned(); usize::from(count)],
            ([one], count) => vec![one.clone(); usize::from(count)],
            (several, count) if several.len() == usize::from(count) => several.to_vec(),
            _ => return Err(line.bad(name_cell, "gpu_model", "one model, or one for each device")),
        },
    };
    for number in 0..asked.count {
        let mut one = node.clone();
        if asked.count > 1 {
            one.name = format!("{}-{number}", node.name);
        }
        let name = one.name.clone();
        let now = presence.get(&name).copied();
        let impossible = |found| {
            let (place, node) = (line.place_of(name_cell), name.clone());
            Err(TraceError::NodeState { place, node, found })
        };
        let (event, then) = match (event, now) {
            ("join", None) => (NodeEvent::Joined(Box::new(one)), Presence::Ready),
            ("join", Some(_)) => {
                let (place, name) = (line.place_of(name_cell), name);
                return Err(TraceError::Repeated { place, what: "node", name });
            }
            (_, None) => return impossible("has not joined before"),
            ("lost", Some(Presence::Lost)) => return impossible("is lost already"),
            ("lost", _) => (NodeEvent::Lost, Presence::Lost),
            ("returned", Some(Presence::Ready)) => {
                return impossible("returns, but was never away");
            }
            ("returned", _) => (NodeEvent::Returned, Presence::Ready),
            ("draining", Some(Presence::Lost)) => return impossible("drains, but is lost"),
            ("draining", _) => (NodeEvent::Draining, Presence::Draining),
            (_, Some(now)) => (NodeEvent::Updated(one.capacity), now),
        };
        presence.insert(name.clone(), then);
        draft.node_event(at, &name, event);
    }
    Ok(())
}

/// Units of image sizes, largest first.
pub(super) const IMAGE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `NAME,NAME@SIZE`.
fn read_image(text: &str) -> Option<Image> {
    let (names, size) = text.rsplit_once('@')?;
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    let (number, unit) = IMAGE_UNITS
        .into_iter()
        .find_map(|(suffix, unit)| Some((size.strip_suffix(suffix)?, unit)))?;
    let size = decimal::parse(number, unit, Rounding::Nearest).ok()?;
    let is_good = size <= limits::BYTES.most && names.iter().all(|it| !it.is_empty());
    is_good.then_some(Image { names, size: Bytes(size) })
}
