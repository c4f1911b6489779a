// Package audit makes the audit log of the API server: the policy that says what is
// logged, ours or a file's, and the rotated file that it is logged to. It may import
// runtime/config.
package audit
