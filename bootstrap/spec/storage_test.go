package spec

import (
	"strings"
	"testing"
)

func TestStorage(t *testing.T) {
	for what, tt := range map[string]struct {
		s    Storage
		want string // part of the refusal
		dir  string
	}{
		"nothing":        {Storage{}, "", ""},
		"a path":         {Storage{Path: "/srv"}, "", "/srv/gantry-volumes"},
		"a disk":         {Storage{Path: "/var/lib/data", Reserve: "0%"}, "", "/var/lib/data/gantry-volumes"},
		"an amount":      {Storage{Reserve: "50Gi"}, "", ""},
		"all of it":      {Storage{Reserve: "100%"}, "", ""},
		"relative":       {Storage{Path: "srv"}, "not an absolute path", ""},
		"with dots":      {Storage{Path: "/srv/../etc"}, "not an absolute path", ""},
		"with a slash":   {Storage{Path: "/srv/"}, "not an absolute path", ""},
		"the root":       {Storage{Path: "/"}, "is a directory of the system", ""},
		"of the system":  {Storage{Path: "/etc"}, "is a directory of the system", ""},
		"in the system":  {Storage{Path: "/usr/data"}, "is a directory of the system", ""},
		"ours":           {Storage{Path: "/var/lib/gantry/kubelet"}, "is a directory of the system", ""},
		"much like it":   {Storage{Path: "/etcetera"}, "", "/etcetera/gantry-volumes"},
		"too much":       {Storage{Reserve: "101%"}, "not between 0% and 100%", ""},
		"less than none": {Storage{Reserve: "-1%"}, "not between 0% and 100%", ""},
		"no amount":      {Storage{Reserve: "much"}, "neither a percentage such as 20% nor a quantity", ""},
		"negative":       {Storage{Reserve: "-5Gi"}, "neither a percentage", ""},
	} {
		err := Kubelet{Storage: tt.s}.validate()
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", what, err, tt.want)
		}
		if err == nil && tt.s.VolumesDir() != tt.dir {
			t.Errorf("%s: in %q, want %q", what, tt.s.VolumesDir(), tt.dir)
		}
	}
}
