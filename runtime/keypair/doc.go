// Package keypair loads certificates with their keys from files that are replaced
// while a process uses them, for servers and for clients. It starts nothing and polls
// nothing: the files are looked at when a connection is made or a request is sent. It
// may import runtime/config.
package keypair
