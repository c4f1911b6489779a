// Package listener bounds what one address can take of a server that listens: its
// connections, and among them those that do not get on with their TLS handshake. It
// imports none of our packages.
package listener
