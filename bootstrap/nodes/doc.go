// Package nodes is the Nodes of a cluster in its API: what each should have and how
// it differs, which host it was declared for, whether it is Ready, and whose
// certificates are revoked. Files use those below them: writer, revocation, object,
// owner, declaration, ready. It may import bootstrap/drain, bootstrap/host,
// bootstrap/pki, bootstrap/spec, bootstrap/step and runtime/config.
package nodes
