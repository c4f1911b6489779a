// Package cronjob starts the jobs of each CronJob at their times. When they are due
// is decided without the API (plan.go). Between times nothing is done.
package cronjob
