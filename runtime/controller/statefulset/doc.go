// Package statefulset keeps the pods of each StatefulSet, which have lasting names
// and claims, in their order. What is done is decided without the API (plan.go).
package statefulset
