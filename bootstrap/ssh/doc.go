// Package ssh is a host.Host over SSH: one connection per host, many sessions on
// it. A server needs sshd, a POSIX shell and coreutils. With the hosttest package
// it is the only importer of x/crypto/ssh. It may import bootstrap/host.
package ssh
