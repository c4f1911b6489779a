package step

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzParseUnits: foreign lines before the blocks change nothing about the units that
// systemd describes.
func FuzzParseUnits(f *testing.F) {
	f.Add("welcome", "kubelet.service", "active", "abc")
	f.Add("mark=x\nId=other.service", "a/b.service", "", "")
	f.Add("==\n\n=", "x", "failed", "m=n")
	f.Fuzz(func(t *testing.T, noise, unit, active, mark string) {
		for _, s := range []string{unit, active, mark} {
			if s != strings.TrimSpace(s) || strings.ContainsAny(s, "\r\n") {
				t.Skip("one line each")
			}
		}
		if unit == "" || strings.ContainsAny(unit, "/=") || strings.Trim(unit, ".") == "" {
			t.Skip("no unit's name")
		}
		out := fmt.Sprintf("%s\n\nId=%s\nLoadState=loaded\nActiveState=%s\nUnitFileState=enabled\nNeedDaemonReload=yes\n\nmark=%s=%s\n", noise, unit, active, unit, mark)
		want := UnitState{Loaded: true, Active: active, Enabled: true, NeedsReload: true, Mark: mark}
		if got := parseUnits(out)[unit]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
