// Package policy holds the kinds of policy.
package policy
