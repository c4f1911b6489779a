// Package authentication holds the kinds of authentication.k8s.io: questions, which are
// answered and not stored.
package authentication
