// Package served looks up which resources the API serves. It imports nothing of ours.
package served
