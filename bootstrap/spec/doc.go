// Package spec is the desired cluster and its pools as pure data: what a user
// asked for, validated, and the hash of what each host should be. It knows no
// host, no file and no protocol, and imports nothing of ours.
package spec
