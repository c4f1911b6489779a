// Package authorization holds the kinds of authorization.k8s.io: questions, which are
// answered and not stored.
package authorization
