// Package manifests reads the manifests of other projects and makes of them what runs where
// their images cannot be had: every pod gets a program that stands in for its own
// (e2e/standin), at the ports where that would listen. Of the kinds that they define it makes
// the least objects that these take. Pure; it may import nothing of ours.
package manifests
