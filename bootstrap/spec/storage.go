package spec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Storage is what of a server is for the cluster's own volumes. Zero values are the
// defaults.
type Storage struct {
	// Path is a directory of the server: the volumes lie in a directory of ours in it.
	Path string `json:"path,omitempty"`
	// Reserve is kept of its file system for others: a percentage or a quantity.
	Reserve string `json:"reserve,omitempty"`
}

// volumesIn is the directory of volumes in a directory that is somebody's: only root comes
// through it.
const volumesIn = "gantry-volumes"

// VolumesDir is where the volumes lie; "" for the default.
func (s Storage) VolumesDir() string {
	if s.Path == "" {
		return ""
	}
	return path.Join(s.Path, volumesIn)
}

// systemDirs are what a server is made of, and what ends with its power.
func systemDirs() []string {
	return []string{"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt/gantry", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/lib/gantry", "/var/run", "/var/tmp"}
}

func (s Storage) validate() error {
	var err error
	if s.Path != "" {
		inSystem := func(dir string) bool { return s.Path == dir || strings.HasPrefix(s.Path, dir+"/") }
		switch {
		case !path.IsAbs(s.Path) || path.Clean(s.Path) != s.Path:
			err = fmt.Errorf("storage: path %q is not an absolute path, or has . or .. in it", s.Path)
		case s.Path == "/" || slices.ContainsFunc(systemDirs(), inSystem):
			err = fmt.Errorf("storage: path %s is a directory of the system: name one for data, such as /srv or where a disk is mounted", s.Path)
		}
	}
	return errors.Join(err, s.validateReserve())
}

func (s Storage) validateReserve() error {
	if s.Reserve == "" {
		return nil
	}
	if percent, ok := strings.CutSuffix(s.Reserve, "%"); ok {
		if n, err := strconv.Atoi(percent); err != nil || n < 0 || n > 100 {
			return fmt.Errorf("storage: reserve %q is not between 0%% and 100%%", s.Reserve)
		}
		return nil
	}
	if q, err := resource.ParseQuantity(s.Reserve); err != nil || q.Sign() < 0 {
		return fmt.Errorf("storage: reserve %q is neither a percentage such as 20%% nor a quantity such as 50Gi", s.Reserve)
	}
	return nil
}
