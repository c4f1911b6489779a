package provider

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestHowLongAnotherRunIsWaitedFor(t *testing.T) {
	for text, want := range map[string]time.Duration{"0s": 0, "5m": 5 * time.Minute} {
		var diags diag.Diagnostics
		if got := lockTimeout(types.StringValue(text), &diags); got != want || diags.HasError() {
			t.Errorf("%s is %s, %v", text, got, diags)
		}
	}
	var diags diag.Diagnostics
	if got := lockTimeout(types.StringNull(), &diags); got != defaultLockTimeout || diags.HasError() {
		t.Errorf("the default is %s, %v", got, diags)
	}
	for _, text := range []string{"", "-1s", "soon"} {
		var diags diag.Diagnostics
		if lockTimeout(types.StringValue(text), &diags); !diags.HasError() {
			t.Errorf("%q is accepted", text)
		}
	}
}

// A plugin process may have several provider instances, as with aliases: none is
// another run to the others.
func TestAProcessIsOneRun(t *testing.T) {
	factory, done := Open("test")
	defer done()
	other, otherDone := Open("test")
	defer otherDone()
	token := func(p provider.Provider) string { return p.(*Provider).locks.of(0)(nil).Of("demo").Token }
	first := token(factory())
	if first == "" || first != token(factory()) || first == token(other()) {
		t.Error("instances of one process differ, or those of two do not")
	}
}
