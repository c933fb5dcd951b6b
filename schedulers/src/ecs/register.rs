//! What an agent registers of its machine.
//!
//! Source: agent 1.105.1, `ecs-agent/api/ecs/client` (`getResources`) and its configuration. Ports that are
//! configured stand in place of the usual ones; an empty list is no configuration.

use super::instance::Ports;
use super::size;
use thiserror::Error;

/// The TCP ports that an agent reserves: for logging in, for Docker and for itself. It reserves none of UDP.
pub const PORTS: [u16; 5] = [22, 2375, 2376, 51_678, 51_679];

/// What is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Units of cpu.
    pub cpu_units: u64,
    /// Memory.
    pub memory_mib: u64,
    /// Reserved from the start.
    pub ports: Ports,
}

/// More memory is reserved than the machine has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reserved_mib} MiB are to be reserved of {total_mib} MiB: negative memory")]
pub struct NegativeMemory {
    /// What the machine has.
    pub total_mib: u64,
    /// `ECS_RESERVED_MEMORY`.
    pub reserved_mib: u64,
}

/// What a machine registers: all cores, and whole MiB less those reserved. `configured` are the ports of
/// `ECS_RESERVED_PORTS` and `ECS_RESERVED_PORTS_UDP`.
///
/// # Errors
///
/// If more is reserved than there is.
pub fn register(
    cores: u64,
    total_bytes: u64,
    reserved_mib: u64,
    configured: &Ports,
) -> Result<Registration, NegativeMemory> {
    let total_mib = total_bytes >> 20;
    let memory_mib = total_mib.checked_sub(reserved_mib);
    let mut ports = configured.clone();
    if ports.tcp.is_empty() {
        ports.tcp.extend(PORTS);
    }
    Ok(Registration {
        cpu_units: cores * size::UNITS,
        memory_mib: memory_mib.ok_or(NegativeMemory { total_mib, reserved_mib })?,
        ports,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_rounded_down_and_reserved() {
        let mib = |bytes, reserved| {
            register(2, bytes, reserved, &Ports::default()).map(|it| it.memory_mib)
        };
        assert_eq!(mib(8_373_026_816, 0), Ok(7985));
        assert_eq!(mib(8_589_524_992, 0), Ok(8191));
        assert_eq!(mib(8_589_524_992, 191), Ok(8000));
        assert_eq!(mib(1 << 20, 1), Ok(0));
        assert_eq!(mib(1 << 20, 2), Err(NegativeMemory { total_mib: 1, reserved_mib: 2 }));
    }

    #[test]
    fn ports_are_the_usual_ones_or_those_configured() {
        let ports = |tcp: &[u16], udp: &[u16]| {
            let set = |it: &[u16]| it.iter().copied().collect();
            register(4, 0, 0, &Ports { tcp: set(tcp), udp: set(udp) }).unwrap().ports
        };
        assert_eq!(ports(&[], &[]), Ports { tcp: PORTS.into(), udp: [].into() });
        assert_eq!(ports(&[22, 80], &[]), Ports { tcp: [22, 80].into(), udp: [].into() });
        assert_eq!(ports(&[], &[53]), Ports { tcp: PORTS.into(), udp: [53].into() });
        assert_eq!(register(4, 0, 0, &Ports::default()).unwrap().cpu_units, 4096);
    }
}
