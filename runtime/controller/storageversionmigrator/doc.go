// Package storageversionmigrator writes all objects of a resource again, as
// StorageVersionMigrations ask for: what is written is stored in today's version, and
// encrypted with today's key.
package storageversionmigrator
