// Package config is the contract between bootstrap, which writes files on a
// server, and the processes, which read them: the configuration file of each
// process, and every port, path, unit name and identity both sides rely on.
//
// It holds data and its validation only. It imports nothing of ours, so that
// both sides can import it.
package config
