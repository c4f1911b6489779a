// Package pki makes authorities, certificates, keys and kubeconfigs as PEM
// bytes. It reads no clock and no file: time is passed in. It knows no name of a
// cluster's identities (package install has them) and imports nothing of ours.
package pki
