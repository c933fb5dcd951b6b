//! Lists all strategies; with arguments, says which of them are policies.
//!
//! ```text
//! cargo run -p bayplan-schedulers --example policies -- best-fit:cpu
//! ```

#![allow(clippy::print_stdout, reason = "an example talks")]

use schedulers::ALL;
use schedulers::policy::Policy;

fn main() {
    let width = ALL.iter().map(|it| it.card.name.len()).max().unwrap_or(0);
    for entry in ALL {
        println!("{:width$}  {}", entry.card.name, entry.card.summary);
    }
    for text in std::env::args().skip(1) {
        match text.parse::<Policy>() {
            Ok(policy) => println!("{policy} is a policy"),
            Err(error) => println!("{text}: {error}"),
        }
    }
}
