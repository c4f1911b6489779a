// Package serviceaccount keeps the ServiceAccount "default" in every namespace.
package serviceaccount
