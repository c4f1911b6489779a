// Package ssh is a host.Host over SSH and SFTP: one connection per host, many
// sessions on it. With the hosttest package it is the only importer of
// x/crypto/ssh and pkg/sftp. It may import bootstrap/host.
package ssh
