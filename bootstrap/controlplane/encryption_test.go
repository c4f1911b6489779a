package controlplane

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestWhoseKeysAreRead: those of reached masters of this cluster that have the file; what
// cannot be read stops the operation, as it may be the only copy of a key.
func TestWhoseKeysAreRead(t *testing.T) {
	plan, err := encryption.First("key-0", encryption.NewKey)
	if err != nil {
		t.Fatal(err)
	}
	file, err := plan.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	with := func(id string, content string) *readable {
		r := &readable{files: map[string]string{}}
		if id != "" {
			r.files[install.IdentityFile] = identityOf(id, "m")
		}
		if content != "-" {
			r.files[config.EncryptionConfigFile] = content
		}
		return r
	}
	for name, tc := range map[string]struct {
		hosts map[string]*readable
		want  []string
		says  string
	}{
		"masters of the cluster": {map[string]*readable{"m1": with("id", string(file)), "m2": with("id", string(file))}, []string{"m1", "m2"}, ""},
		"one without the file":   {map[string]*readable{"m1": with("id", string(file)), "m2": with("id", "-")}, []string{"m1"}, ""},
		"an empty one":           {map[string]*readable{"m1": with("id", "")}, nil, ""},
		"one of another cluster": {map[string]*readable{"m1": with("other", string(file))}, nil, ""},
		"a bare host":            {map[string]*readable{"m1": with("", string(file))}, nil, ""},
		"one that is away":       {map[string]*readable{"m1": nil}, nil, ""},
		"one that is garbled":    {map[string]*readable{"m1": with("id", "x: y")}, nil, "copy the file of another master"},
		"an identity that is":    {map[string]*readable{"m1": {files: map[string]string{install.IdentityFile: ":"}}}, nil, "m1 (of-m1)"},
		"one that is lost":       {map[string]*readable{"m1": {err: errors.New("cut")}}, nil, "cut"},
	} {
		got, err := readEncryption(t.Context(), fleetOf(t, tc.hosts), "id")
		var from []string
		for m := range got {
			from = append(from, m)
		}
		slices.Sort(from)
		if !slices.Equal(from, tc.want) || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, %v", name, from, err)
		}
	}
}

func TestSecretsAreEncryptedAnewBetweenTwoKeys(t *testing.T) {
	for stage, want := range map[encryption.Stage]bool{encryption.Absent: false, encryption.Reads: true, encryption.Writes: true, encryption.Alone: false} {
		if got := Encrypts(&Operation{encryption: encryption.Plan{Stage: stage}}); got != want {
			t.Errorf("stage %d: %v", stage, got)
		}
	}
}

func TestAnotherKeyWaitsForAllMasters(t *testing.T) {
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		joined  map[string]error
		leaving fleet.State
		says    string
	}{
		"all are there":         {map[string]error{"m1": nil, "m2": nil}, fleet.Gone, ""},
		"one failed":            {map[string]error{"m1": nil, "m2": failed}, fleet.Gone, "master m2"},
		"one is not gone to":    {map[string]error{"m1": nil}, fleet.Gone, "master m2"},
		"one has not left":      {map[string]error{"m1": nil, "m2": nil}, fleet.Pending, "master m3 (of-m3) has not left"},
		"one could not be seen": {map[string]error{"m1": nil, "m2": nil}, fleet.Unknown, "master m3 (of-m3) has not left"},
	} {
		o := &Operation{Want: cluster("m1", "m2"), leaving: fleetOf(t, map[string]*readable{"m3": nil}), join: joining{masters: map[string]*joiner{}}}
		o.leaving.Members["m3"].Status.State = tc.leaving
		for m, err := range tc.joined {
			o.join.masters[m] = &joiner{Member: &fleet.Member{Status: fleet.Status{Err: err}}}
		}
		if err := waitForAll(o, "key-1"); (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhoIsToldThatKeysWait: the masters that were gone through, but for those that have a
// failure of their own.
func TestWhoIsToldThatKeysWait(t *testing.T) {
	failed := errors.New("it did not start")
	o := &Operation{Want: cluster("m1", "m2"), masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}}), leaving: fleetOf(t, nil), join: joining{order: []string{"m1", "m2"}, masters: map[string]*joiner{}}}
	for name, m := range o.masters.Members {
		o.join.masters[name] = &joiner{Member: m}
	}
	o.masters.Members["m2"].Settle(failed)
	if err := o.Encrypt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.masters.Members["m1"].Status.Err; err == nil || !strings.Contains(err.Error(), "master m2") {
		t.Errorf("m1: %v", err)
	}
	if err := o.masters.Members["m2"].Status.Err; !errors.Is(err, failed) {
		t.Errorf("m2: %v", err)
	}
}
