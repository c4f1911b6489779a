// Package diagnose maps failures of bootstrap to Terraform's diagnostics: which host,
// which step, the command with all that it printed, and the remedy. It may import
// bootstrap and its packages, and nothing else of the provider.
//
// Calls run downward: report.go and plan.go use host.go, which uses remedy.go.
package diagnose
