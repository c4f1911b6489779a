// Package kind says what the row of a kind is. It imports nothing of ours.
package kind
