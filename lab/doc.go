// Package lab makes real bare servers on one machine: Debian or Ubuntu with
// their own systemd and sshd, booted by systemd-nspawn, on a bridge of their
// own, with no default route. The demo, the tests and the benchmarks provision
// them as they would hardware: by SSH. It needs root.
//
// Everything a lab makes is found again from its directory and from the names
// of its cgroups and links, so a crashed run leaves nothing that the next start
// (or [Sweep], which leaves what somebody has) does not take away. It imports nothing
// of ours.
package lab
