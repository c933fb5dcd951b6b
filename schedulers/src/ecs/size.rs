//! Sizes of tasks as they are written.
//!
//! Source: Amazon ECS Developer Guide, "Task definition parameters", task size: whole units and MiB, or texts
//! such as `1 vCPU` and `1GB`, which are converted when the definition is registered. Differs in refusing what
//! gives no whole number (`.3 vCPU`). The numbers are those that our reader of definitions for the live world
//! takes (`runtime`, `app`); how much is allowed is checked there.

/// Units of cpu in one core.
pub const UNITS: u64 = 1024;

/// Units of cpu of such a text: `512`, `.5 vCPU`, `2vcpu`. `None` if it is no such amount.
pub fn cpu_units(text: &str) -> Option<u64> {
    with_unit(text, "vcpu", UNITS)
}

/// MiB of such a text: `512`, `1GB`, `0.5 gb`. `None` if it is no such amount.
pub fn memory_mib(text: &str) -> Option<u64> {
    with_unit(text, "gb", 1024)
}

/// Units of an amount of cores as the agent gets it, rounded down; nothing if it is negative.
///
/// Source: agent 1.105.1, `task.go`, `ToHostResources`: its floating-point product, cut off.
pub fn units_of_cores(cores: f64) -> u64 {
    (cores * UNITS as f64) as u64
}

/// `text` as a bare number, or as one of `unit`, in any case, a blank before it or not.
fn with_unit(text: &str, unit: &str, factor: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix(unit) {
        Some(number) => scaled(number.trim_end(), factor),
        None => scaled(&text, 1),
    }
}

/// `number` times `factor`, if that is a whole number: digits with at most one point.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{part}");
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    let places = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let product = digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(factor)?;
    (product % places == 0).then_some(product / places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_converted() {
        for (text, cpu, memory) in [
            ("1024", Some(1024), Some(1024)),
            (" 256 ", Some(256), Some(256)),
            ("1 vCPU", Some(1024), None),
            ("2vcpu", Some(2048), None),
            (".5 vcpu", Some(512), None),
            (".25 VCPU", Some(256), None),
            ("0.125 vCPU", Some(128), None),
            ("10. vCPU", Some(10_240), None),
            (".3 vCPU", None, None),
            ("1GB", None, Some(1024)),
            ("0.5 gb", None, Some(512)),
            ("1.25 GB", None, Some(1280)),
            ("30 GB", None, Some(30_720)),
            ("1G", None, None),
            ("vCPU", None, None),
            (". vCPU", None, None),
            ("1.2.3 vCPU", None, None),
            ("-1 vCPU", None, None),
            ("99999999999999999999", None, None),
            ("", None, None),
        ] {
            assert_eq!((cpu_units(text), memory_mib(text)), (cpu, memory), "{text}");
        }
    }

    #[test]
    fn cores_are_cut_off() {
        let got = [0.25, 1.0, 0.3, 2.5, -1.0].map(units_of_cores);
        assert_eq!(got, [256, 1024, 307, 2560, 0]);
    }
}
