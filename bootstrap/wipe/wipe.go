// Package wipe makes a server as bare as it was: no unit, process, container,
// mount, link, table, cgroup or file of ours. It works on a host that was
// installed in part, and on one that is bare. It may import bootstrap/install (the names of files), bootstrap/step,
// bootstrap/host and runtime/config.
package wipe

import (
	"slices"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// leftoverScript ends processes of ours that no unit owns any more (container
// shims outlive containerd on purpose) and unmounts what is below our
// directories, deepest first. Our own clean does this and more; this is for a
// host whose binary was never installed, is damaged, or was removed by a wipe
// that was cut.
const leftoverScript = `bin=$1; shift
for p in /proc/[0-9]*; do
  case "$(readlink "$p/exe" 2>/dev/null)" in "$bin"/*) kill -9 "${p#/proc/}" 2>/dev/null ;; esac
done
for round in 1 2 3; do
  awk '{print $5}' /proc/self/mountinfo | sort -r | while read -r m; do
    for d; do case "$m" in "$d"|"$d"/*) umount -l "$m" ;; esac; done
  done
  left=$(awk '{print $5}' /proc/self/mountinfo | while read -r m; do for d; do case "$m" in "$d"|"$d"/*) echo "$m" ;; esac; done; done)
  [ -z "$left" ] && exit 0
done
echo "still mounted: $left" >&2; exit 1`

// Steps are what makes a host bare. They do not look whether the host is a
// master: what is not there is passed over.
func Steps() []step.Step {
	components := append(config.MasterComponents(), config.WorkerComponents()...)
	slices.Reverse(components) // nobody outlives what it depends on
	var units, unitFiles []string
	for _, c := range components {
		units = append(units, c.Unit())
		unitFiles = append(unitFiles, c.UnitFile(), c.UnitFile()+host.NewSuffix)
	}
	gantry := config.Binary("gantry")
	roots := []string{config.RunDir, config.StateDir}
	return []step.Step{
		{Name: "stop processes", Changes: []step.Change{step.Stop{Units: units}}},
		{Name: "clean the kernel", Changes: []step.Change{
			step.Command{
				Name: "remove containers, mounts, links, tables and cgroups", Command: host.Command{Argv: []string{gantry, "host", "clean"}},
				Needs: step.Watch{Files: []string{gantry}},
				Check: func(s step.Seen) bool { _, ok := s.Files[gantry]; return !ok },
			},
			step.Command{
				Name:    "end leftover processes and mounts",
				Command: host.Shell("end-leftovers", leftoverScript, append([]string{config.BinDir}, roots...)...),
				Needs:   step.Watch{Files: append([]string{config.BinDir}, roots...)},
				Check:   step.Remove{Paths: append([]string{config.BinDir}, roots...)}.Done,
			},
		}},
		{Name: "remove units", Changes: []step.Change{removeUnits(unitFiles)}},
		// The identity goes last: while it is there, a wipe that was cut is seen to
		// be unfinished.
		{Name: "remove files", Changes: []step.Change{
			step.Remove{Paths: []string{config.RunDir, "/opt/gantry", install.ModulesFile, install.ModulesFile + host.NewSuffix}},
			step.Remove{Paths: []string{config.PodLogDir}},
			removePlugins(),
			step.Remove{Paths: []string{config.StateDir}},
			step.Remove{Paths: []string{config.ConfigDir}},
		}},
	}
}

// StopServing takes a master's API and what leads through it out of service. Its
// store goes on.
func StopServing() step.Step {
	units := []string{config.Scheduler.Unit(), config.ControllerManager.Unit(), config.APIServer.Unit()}
	return step.Step{Name: "stop serving", Changes: []step.Change{step.Stop{Units: units}}}
}

const removeUnitsScript = `rm -f -- "$@" && systemctl daemon-reload`

func removeUnits(files []string) step.Change {
	return step.Command{
		Name: "remove units", Command: host.Shell("remove-units", removeUnitsScript, files...),
		Needs: step.Watch{Files: files},
		Check: step.Remove{Paths: files}.Done,
	}
}

// removePluginsScript leaves the directory that others may use too, unless it is empty. A
// volume that is still mounted is somebody's data, also where it lies on the same file system.
const removePluginsScript = `shared=$1; shift
while read -r _ _ _ _ at _; do for dir; do case $at in "$dir"/*) echo "$at is still mounted" >&2; exit 1;; esac; done; done </proc/self/mountinfo
rm -rf --one-file-system -- "$@"; rmdir -- "$shared" 2>/dev/null; for dir; do [ ! -e "$dir" ] || exit 1; done`

// removePlugins removes what the drivers of a node had there.
func removePlugins() step.Change {
	dirs := []string{config.DevicePluginDir, config.PluginRegistryDir, config.PluginDir, config.DriverPodsDir}
	return step.Command{
		Name: "remove " + config.SharedKubeletDir, Command: host.Shell("remove-plugins", removePluginsScript, append([]string{config.SharedKubeletDir}, dirs...)...),
		Needs: step.Watch{Files: dirs},
		Check: step.Remove{Paths: dirs}.Done,
	}
}
