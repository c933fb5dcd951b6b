//! Services, tasks and the script, once the definitions of all files are known.

use super::error::{AppError, LeftOut};
use super::fields;
use super::json::{Field, Members, Source};
use super::placement::{self, Asked, Origin, ReadMemberOf};
use super::{App, AppDefinition, Step, StepKind, definition};
use crate::hosts::Place;
use crate::program::Overrides;
use cluster::constraint::TASK_GROUP;
use cluster::units::Span;
use jsonc_parser::ast::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// As RunTask.
const COUNT_MAX: u32 = 10;
/// Far above what ECS allows, and far below what would fill the memory.
const TASKS_MAX: u32 = 1_000_000;

pub(super) fn read(files: &[(&str, &str)], member_of: ReadMemberOf<'_>) -> Result<App, AppError> {
    let sources: Vec<Source<'_>> = files.iter().map(|it| Source::new(it.0, it.1)).collect();
    let mut values = Vec::new();
    for source in &sources {
        values.push(source.parse()?);
    }
    let mut reader = Reader {
        app: App::default(),
        lines: BTreeMap::new(),
        services: BTreeMap::new(),
        written: Vec::new(),
        groups: BTreeSet::new(),
        named: Vec::new(),
        // Nobody else is looked for by its group.
        has_labels: files.iter().any(|it| it.0.contains(TASK_GROUP)),
        member_of,
    };
    let mut apps = Vec::new();
    for (source, value) in sources.iter().zip(&values) {
        apps.push(reader.definitions(source, value)?);
    }
    for app in apps.iter().flatten() {
        reader.extras(app)?;
    }
    // What is there from the start, in file order; then the scripts, in the order of their times.
    let mut wanted = Vec::new();
    for (kind, list) in [("createService", "services"), ("runTask", "tasks")] {
        for app in apps.iter().flatten() {
            wanted.extend(app.list(list)?.into_iter().map(|it| (Span::ZERO, kind, it)));
        }
    }
    for app in apps.iter().flatten() {
        for field in app.list("script")? {
            wanted.push(scripted(&field)?);
        }
    }
    wanted.sort_by_key(|it| it.0);
    for (at, kind, field) in wanted {
        if let Some(what) = reader.step(kind, &field)? {
            reader.app.steps.push(Step { at, what });
        }
    }
    reader.warn_of_other_groups();
    let Reader { mut app, .. } = reader;
    for source in sources {
        app.warnings.extend(source.warnings.into_inner());
    }
    app.warnings.sort_by_key(|it| {
        let file = files.iter().position(|file| file.1 == it.place.path);
        (file, it.place.span.start)
    });
    Ok(app)
}

/// Microseconds in a number with its unit.
fn parse_span(text: &str) -> Option<Span> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.')?;
    let factor = match text[end..].trim() {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    definition::scaled(&text[..end], factor).map(Span)
}

fn span(field: &Field<'_>) -> Result<Span, AppError> {
    let span = field.text().ok().and_then(parse_span);
    span.ok_or_else(|| field.wrong("a time with its unit, such as \"30s\" or \"5m\""))
}

fn scripted<'v>(field: &Field<'v>) -> Result<(Span, &'static str, Field<'v>), AppError> {
    let step = field.object(fields::SCRIPT)?;
    let at = span(step.need("at")?)?;
    let mut kinds = fields::SCRIPT.iter().map(|it| it.0).filter(|it| *it != "at");
    let found = kinds.by_ref().find_map(|kind| step.get(kind).map(|it| (at, kind, it.clone())));
    match (found, kinds.any(|kind| step.get(kind).is_some())) {
        (Some(found), false) => Ok(found),
        _ => Err(field.wrong(
            "one thing at one time: at, with one of updateService, createService, deleteService, \
             runTask, drain, activate",
        )),
    }
}

/// The last part of an ARN, or the name itself.
fn short(name: &str) -> &str {
    if name.starts_with("arn:") { name.rsplit('/').next().unwrap_or(name) } else { name }
}

#[derive(Clone)]
struct Now<'v> {
    /// As it was written.
    definition: usize,
    desired: u32,
    asked: Asked<'v>,
}

/// What is known of a definition as it was written.
struct Written<'v> {
    asked: Asked<'v>,
    /// Row of the container that carries what is asked for the whole task.
    head: usize,
    /// The rows of [`App::definitions`] that were made of it.
    used_as: Vec<usize>,
}

struct Reader<'v> {
    app: App,
    /// Line of each definition's family, by `family:revision`.
    lines: BTreeMap<String, usize>,
    services: BTreeMap<String, Now<'v>>,
    /// The first rows of [`App::definitions`].
    written: Vec<Written<'v>>,
    /// Of all tasks and services.
    groups: BTreeSet<String>,
    /// Groups that expressions ask for.
    named: Vec<(Field<'v>, String)>,
    /// Whether tasks are labelled with their groups.
    has_labels: bool,
    member_of: ReadMemberOf<'v>,
}

impl<'v> Reader<'v> {
    /// Reads the definitions of a document. `None` where it holds nothing else.
    fn definitions(
        &mut self,
        source: &'v Source<'v>,
        value: &'v Value<'v>,
    ) -> Result<Option<Members<'v>>, AppError> {
        let root = source.root(value);
        let names: Vec<&str> = root.members()?.iter().map(|it| it.0).collect();
        if names.contains(&"containerDefinitions") || names.contains(&"family") {
            self.definition(&root)?;
            return Ok(None);
        }
        if names.contains(&"taskDefinition") {
            let described = root.object(fields::DESCRIBED)?;
            self.definition(described.need("taskDefinition")?)?;
            return Ok(None);
        }
        if names.is_empty() {
            return Err(AppError::Empty { path: source.path.to_owned() });
        }
        let app = root.object(fields::APP)?;
        for field in app.list("taskDefinitions")? {
            self.definition(&field)?;
        }
        Ok(Some(app))
    }

    fn definition(&mut self, field: &Field<'v>) -> Result<(), AppError> {
        let known = &self.app.definitions;
        let definition::Written { it: mut read, head, asked } =
            definition::read(field, |family| {
                let same = known.iter().map(|it| &it.program).filter(|it| it.family == family);
                same.map(|it| it.revision).max().unwrap_or(0).saturating_add(1)
            })?;
        let line = field.place().line;
        if let Some(first) = self.lines.insert(read.spec.name.clone(), line) {
            return Err(field.twice(&read.spec.name, first));
        }
        // For no group yet, so that what cannot be read is told even where it is not used.
        let found = asked.resolve("", self.member_of)?;
        placement::give(&mut read.spec, head, found);
        self.app.definitions.push(read);
        self.written.push(Written { asked, head, used_as: Vec::new() });
        Ok(())
    }

    /// The row of a definition as it is for tasks of that group under constraints of their request.
    fn placed(&mut self, row: usize, request: &Asked<'v>, group: &str) -> Result<usize, AppError> {
        self.groups.insert(group.to_owned());
        let Written { asked, head, .. } = &self.written[row];
        let asked = asked.with(request)?;
        let found = asked.resolve(group, self.member_of)?;
        for name in placement::groups_named(&found) {
            let fields = asked.naming(name).cloned();
            self.named.extend(fields.map(|it| (it, name.to_owned())));
        }
        if placement::is_near_its_own(&found, group) {
            asked.naming(TASK_GROUP).for_each(|it| it.warn(LeftOut::OwnGroup));
        }
        let mut it = self.app.definitions[row].clone();
        placement::give(&mut it.spec, *head, found);
        if self.has_labels {
            it.spec.labels = vec![(TASK_GROUP.to_owned(), group.to_owned())];
        }
        let Written { used_as, .. } = &mut self.written[row];
        let definitions = &mut self.app.definitions;
        let is_same = |row: &usize| {
            let known = &definitions[*row].spec;
            known.containers == it.spec.containers
                && known.constraints == it.spec.constraints
                && known.labels == it.spec.labels
        };
        if let Some(&known) = used_as.iter().find(|it| is_same(it)) {
            return Ok(known);
        }
        let place = if used_as.is_empty() { row } else { definitions.len() };
        used_as.push(place);
        if place == row {
            definitions[row] = it;
        } else {
            let same = definitions.iter().filter(|other| other.program.family == it.program.family);
            let last = same.map(|it| it.program.revision).max().unwrap_or(0);
            it.program.revision = last.saturating_add(1);
            it.spec.name = format!("{}:{}", it.program.family, it.program.revision);
            definitions.push(it);
        }
        Ok(place)
    }

    fn warn_of_other_groups(&self) {
        let mut told: Vec<Box<Place>> = Vec::new();
        for (field, name) in &self.named {
            if !self.groups.contains(name) && !told.contains(&field.place()) {
                field.warn(LeftOut::OtherGroup);
                told.push(field.place());
            }
        }
    }

    /// Archives and lifetimes.
    fn extras(&mut self, app: &Members<'_>) -> Result<(), AppError> {
        for field in app.list("images")? {
            let image = field.object(fields::IMAGE)?;
            let (name, archive) = (image.need("image")?, image.need("archive")?);
            let beside = Path::new(field.source.path).parent().unwrap_or(Path::new(""));
            let archive = beside.join(archive.text()?);
            let text = name.text()?;
            let mut is_used = false;
            let programs = self.app.definitions.iter_mut().map(|it| &mut it.program);
            for it in programs.flat_map(|it| &mut it.containers).filter(|it| it.image == text) {
                is_used = true;
                it.archive = Some(archive.clone());
            }
            if !is_used {
                name.warn(LeftOut::UnusedImage);
            }
        }
        let Some(lifetimes) = app.get("lifetimes") else { return Ok(()) };
        for (family, field) in lifetimes.members()? {
            let lifetime = span(&field)?;
            let mut is_known = false;
            for it in self.app.definitions.iter_mut().filter(|it| it.program.family == family) {
                is_known = true;
                it.lifetime = Some(lifetime);
            }
            if !is_known {
                let known = self.app.definitions.iter().map(|it| it.program.family.clone());
                return Err(field.unknown_name("task definition", family, known.collect()));
            }
        }
        Ok(())
    }

    /// The row of `family`, `family:revision` or an ARN; of a family the latest revision.
    fn named(&self, field: &Field<'_>) -> Result<usize, AppError> {
        let name = short(field.text()?);
        let fits = |it: &AppDefinition| it.spec.name == name || it.program.family == name;
        let written = &self.app.definitions[..self.written.len()];
        let rows = written.iter().enumerate().filter(|it| fits(it.1));
        let latest = rows.max_by_key(|it| it.1.program.revision).map(|it| it.0);
        latest.ok_or_else(|| {
            let programs = written.iter().map(|it| &it.program);
            let known = programs
                .flat_map(|it| [it.family.clone(), format!("{}:{}", it.family, it.revision)]);
            field.unknown_name("task definition", name, known.collect())
        })
    }

    fn service(&self, field: &Field<'v>) -> Result<(&'v str, Now<'v>), AppError> {
        let name = short(field.text()?);
        let now = self.services.get(name).cloned();
        let now = now.ok_or_else(|| {
            field.unknown_name("service", name, self.services.keys().cloned().collect())
        })?;
        Ok((name, now))
    }

    fn put(&mut self, name: &str, now: Now<'v>) -> Result<StepKind, AppError> {
        let definition = self.placed(now.definition, &now.asked, &format!("service:{name}"))?;
        let desired = now.desired;
        self.services.insert(name.to_owned(), now);
        Ok(StepKind::PutService { name: name.to_owned(), definition, desired, priority: 0 })
    }

    fn step(&mut self, kind: &str, field: &Field<'v>) -> Result<Option<StepKind>, AppError> {
        Ok(Some(match kind {
            "createService" => {
                let service = field.object(fields::SERVICE)?;
                if let Some(status) = service.get("status")
                    && status.word(&["ACTIVE", "DRAINING", "INACTIVE"])? > 0
                {
                    status.warn(LeftOut::Inactive);
                    return Ok(None);
                }
                if let Some(it) = service.get("schedulingStrategy")
                    && it.word(&["REPLICA", "DAEMON"])? == 1
                {
                    return Err(it.unsupported("use REPLICA with a desiredCount"));
                }
                launch_type(&service)?;
                let named = service.need("serviceName")?;
                let name = named.text()?;
                if self.services.contains_key(name) {
                    return Err(named.wrong("the name of a service that is not there yet"));
                }
                let definition = self.named(service.need("taskDefinition")?)?;
                let desired = service.need("desiredCount")?.whole(0..=TASKS_MAX)?;
                let asked = Asked::read(&service, Origin::Request)?;
                self.put(name, Now { definition, desired, asked })?
            }
            "updateService" => {
                let update = field.object(fields::UPDATE)?;
                let (name, mut now) = self.service(update.need("service")?)?;
                if let Some(it) = update.get("taskDefinition") {
                    now.definition = self.named(it)?;
                }
                if let Some(desired) = update.whole("desiredCount", 0..=TASKS_MAX)? {
                    now.desired = desired;
                }
                if update.get("placementConstraints").is_some() {
                    now.asked = Asked::read(&update, Origin::Request)?;
                }
                self.put(name, now)?
            }
            "deleteService" => {
                let delete = field.object(fields::DELETE)?;
                let (name, _) = self.service(delete.need("service")?)?;
                self.services.remove(name);
                StepKind::DeleteService { name: name.to_owned() }
            }
            "runTask" => self.tasks(&field.object(fields::TASK)?)?,
            "drain" => StepKind::Drain { node: node(field)? },
            _ => StepKind::Activate { node: node(field)? },
        }))
    }

    fn tasks(&mut self, task: &Members<'v>) -> Result<StepKind, AppError> {
        launch_type(task)?;
        let definition = self.named(task.need("taskDefinition")?)?;
        let program = &self.app.definitions[definition].program;
        let count = task.whole("count", 1..=COUNT_MAX)?.unwrap_or(1);
        let group = match task.get("group") {
            Some(it) => {
                let text = it.text()?;
                if text.chars().count() > 255 || text.starts_with("service:") {
                    return Err(it.wrong("at most 255 characters that do not begin with service:"));
                }
                text.to_owned()
            }
            None => format!("family:{}", program.family),
        };
        let mut overrides = Overrides::default();
        if let Some(it) = task.get("overrides") {
            for field in it.object(fields::OVERRIDES)?.list("containerOverrides")? {
                let one = field.object(fields::OVERRIDE)?;
                let named = one.need("name")?;
                let name = named.text()?.to_owned();
                let known: Vec<String> =
                    program.containers.iter().map(|it| it.name.clone()).collect();
                if !known.contains(&name) {
                    return Err(named.unknown_name("container", &name, known));
                }
                if let Some(command) = one.texts("command")? {
                    overrides.commands.insert(name.clone(), command);
                }
                let env = definition::environment(&one)?;
                if !env.is_empty() {
                    overrides.env.insert(name, env);
                }
            }
        }
        let asked = Asked::read(task, Origin::Request)?;
        let definition = self.placed(definition, &asked, &group)?;
        Ok(StepKind::RunTasks { definition, count, group: Some(group), overrides })
    }
}

fn launch_type(it: &Members<'_>) -> Result<(), AppError> {
    if let Some(it) = it.get("launchType")
        && it.word(&["EC2", "EXTERNAL", "FARGATE", "MANAGED_INSTANCES"])? > 1
    {
        it.warn(LeftOut::LaunchType);
    }
    Ok(())
}

fn node(field: &Field<'_>) -> Result<String, AppError> {
    Ok(field.object(fields::NODE)?.need("node")?.text()?.to_owned())
}
