package model

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestKnown(t *testing.T) {
	inside := types.ListValueMust(types.StringType, []attr.Value{str("a"), types.StringUnknown()})
	for _, tc := range []struct {
		vs   []attr.Value
		want bool
	}{
		{nil, true},
		{[]attr.Value{str("a"), types.StringNull()}, true},
		{[]attr.Value{str("a"), types.StringUnknown()}, false},
		{[]attr.Value{types.MapUnknown(types.StringType), str("a")}, false},
		{[]attr.Value{inside}, false},
	} {
		if got := Known(t.Context(), tc.vs...); got != tc.want {
			t.Errorf("%v: %v", tc.vs, got)
		}
	}
}

func TestWhatIsLeftOutIsNull(t *testing.T) {
	if !StringOrNull("").IsNull() || StringOrNull("a") != str("a") {
		t.Error("strings")
	}
	if !Int64OrNull(0).IsNull() || Int64OrNull(7) != types.Int64Value(7) {
		t.Error("numbers")
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "": 0, "soon": 0} {
		if got := Duration(str(text)); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
	if got := DurationOr(types.StringNull(), time.Hour); got != time.Hour {
		t.Errorf("the fallback is %s", got)
	}
	if got := DurationOr(str("0s"), time.Hour); got != 0 {
		t.Errorf("0s is %s", got)
	}
}

func TestATimeIsInUTC(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	if got := RFC3339(at); got != str("2030-01-02T02:04:05Z") {
		t.Error(got)
	}
}

func TestTheHomeDirectoryIsExpanded(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for in, want := range map[string]string{"~/.ssh/key": filepath.Join(home, ".ssh/key"), "/etc/~/x": "/etc/~/x", "~other/x": "~other/x", "": ""} {
		if got := ExpandHome(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
	t.Setenv("HOME", "")
	if got := ExpandHome("~/x"); got != "~/x" {
		t.Errorf("without a home it becomes %q", got)
	}
}
