// Package podservices tells the Services that the change of a pod concerns.
package podservices
