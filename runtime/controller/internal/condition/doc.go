// Package condition sets conditions in the status of any kind, by the rule of the API
// conventions: the transition time moves only with the condition's status.
//
// It imports nothing of ours.
package condition
