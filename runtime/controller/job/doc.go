// Package job runs the pods of each Job to their end and counts them. What pods
// amount to (tally.go) and what is done (plan.go) are decided without the API.
package job
