package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
)

// outcome is "refused", "warned" or "".
func outcome(diags diag.Diagnostics) string {
	switch {
	case diags.HasError():
		return "refused"
	case diags.WarningsCount() > 0:
		return "warned"
	}
	return ""
}

func TestProviderAndBundle(t *testing.T) {
	for _, c := range []struct{ provider, bundle, want string }{
		{"0.1.0", "0.1.0", ""},
		{"0.1.0", "0.1.9", ""},
		{"0.1.9", "0.1.0", ""},
		{"0.1.0", "0.2.0", "refused"},
		{"0.1.9", "0.2.0-rc.1", "refused"},
		{"0.9.0", "1.0.0", "refused"},
		{"1.9.0", "1.10.0", "refused"},
		{"0.2.0", "0.1.9", "warned"},
		{"1.0.0", "0.9.0", "warned"},
		{"v0.1.0", "0.1.0+build.7", ""},
		{"0.2.0-rc.1", "0.2.0", ""},
		{"0.0.0-dev", "0.2.0", ""},
		{"test", "0.2.0", ""},
		{"0.2.0", "0.0.0-dev", ""},
		{"0.2.0", "", ""},
	} {
		var diags diag.Diagnostics
		NewerBundle(c.provider, c.bundle, &diags)
		OlderBundle(c.provider, c.bundle, &diags)
		if got := outcome(diags); got != c.want || len(diags) > 1 {
			t.Errorf("provider %s, bundle %s: %q, want %q: %v", c.provider, c.bundle, got, c.want, diags)
		}
		if diags.HasError() && !strings.Contains(diags[0].Detail(), "terraform destroy -refresh=false") {
			t.Errorf("provider %s, bundle %s: no way to destroy: %s", c.provider, c.bundle, diags[0].Detail())
		}
		if len(diags) == 1 && (!strings.Contains(diags[0].Detail(), "version "+c.bundle+",") || !strings.Contains(diags[0].Detail(), c.provider)) {
			t.Errorf("provider %s, bundle %s: %s", c.provider, c.bundle, diags[0].Detail())
		}
	}
}

// on is the status of a host at 192.0.2.1 that has a version.
func on(state, version string) model.HostStatus {
	s := entry(state, "a")
	s.Version = str(version)
	return s
}

func TestDowngrade(t *testing.T) {
	hosts := []spec.Host{at("a", "192.0.2.1"), at("b", "192.0.2.1"), at("moved", "192.0.2.9"), at("new", "192.0.2.8")}
	for name, c := range map[string]struct {
		a, b   model.HostStatus
		bundle string
		want   string // the hosts that are named
	}{
		"the same":              {on("ready", "0.2.0"), on("ready", "0.2.0"), "0.2.0", ""},
		"newer":                 {on("ready", "0.2.0"), on("ready", "0.1.0"), "0.2.1", ""},
		"an older patch":        {on("ready", "0.2.1"), on("ready", "0.2.0"), "0.2.0", "a (0.2.1)"},
		"an older minor":        {on("ready", "0.10.0"), on("ready", "0.10.1"), "0.9.9", "a (0.10.0), b (0.10.1)"},
		"a candidate":           {on("ready", "0.2.0"), on("ready", "0.1.0"), "0.2.0-rc.1", "a (0.2.0)"},
		"of a candidate":        {on("ready", "0.2.0-rc.1"), on("ready", "0.2.0-rc.1"), "0.2.0", ""},
		"another build":         {on("ready", "0.2.0+b"), on("ready", "0.2.0"), "0.2.0+a", ""},
		"pending, bare":         {on("pending", ""), on("ready", "0.1.0"), "0.1.0", ""},
		"half upgraded":         {on("pending", "0.2.0"), on("ready", "0.1.0"), "0.1.0", "a (0.2.0)"},
		"drifted":               {on("drifted", "0.2.0"), on("ready", "0.1.0"), "0.1.0", "a (0.2.0)"},
		"nothing on it":         {on("absent", "0.2.0"), on("ready", "0.1.0"), "0.1.0", ""},
		"not known":             {on("ready", ""), on("ready", "0.1.0"), "0.1.0", ""},
		"a development build":   {on("ready", "0.2.0"), on("ready", "0.2.0"), "0.0.0-dev", ""},
		"of development builds": {on("ready", "0.0.0-dev"), on("ready", "dev"), "0.1.0", ""},
	} {
		prior := map[string]model.HostStatus{"a": c.a, "b": c.b, "moved": on("ready", "9.0.0"), "leaves": on("ready", "9.0.0")}
		for _, allowed := range []bool{false, true} {
			var diags diag.Diagnostics
			Downgrade("Pool p", "hosts", prior, hosts, c.bundle, allowed, &diags)
			want := map[bool]string{false: "refused", true: "warned"}[allowed]
			if c.want == "" {
				want = ""
			}
			if got := outcome(diags); got != want || len(diags) > 1 {
				t.Errorf("%s, allowed %v: %q, want %q: %v", name, allowed, got, want, diags)
				continue
			}
			if want == "" {
				continue
			}
			said := diags[0].Detail()
			if begin := fmt.Sprintf("Pool p: the bundle is version %s, and newer versions are on %s. ", c.bundle, c.want); !strings.HasPrefix(said, begin) {
				t.Errorf("%s: %s, want %s", name, said, begin)
			}
			if strings.Contains(said, "allow_downgrade = true in the provider block") == allowed || strings.Contains(said, "terraform destroy -refresh=false") == allowed ||
				strings.Contains(said, "Nothing was changed on the servers of pool p.") == allowed {
				t.Errorf("%s, allowed %v: %s", name, allowed, said)
			}
			if d, ok := diags[0].(diag.DiagnosticWithPath); !ok || !d.Path().Equal(path.Root("hosts")) {
				t.Errorf("%s: it is at %v", name, diags[0])
			}
		}
	}
}

func TestAPoolGoesTogetherWithItsMasters(t *testing.T) {
	for name, c := range map[string]struct {
		masters   map[string]string
		bundle    string
		want, who string
	}{
		"the same":                 {map[string]string{"m1": "0.2.0"}, "0.2.0", "", ""},
		"a newer patch":            {map[string]string{"m1": "0.2.0"}, "0.2.7", "", ""},
		"an older patch":           {map[string]string{"m1": "0.2.7"}, "0.2.0", "", ""},
		"a newer minor":            {map[string]string{"m1": "0.1.9", "m2": "0.2.0"}, "0.2.0", "refused", "older versions are on masters: m1 (0.1.9). "},
		"newer than all":           {map[string]string{"m2": "0.1.9", "m1": "0.1.0"}, "1.0.0", "refused", "older versions are on masters: m1 (0.1.0), m2 (0.1.9). "},
		"an older minor":           {map[string]string{"m1": "0.3.0", "m2": "0.2.9"}, "0.2.0", "warned", "newer versions are on masters: m1 (0.3.0). "},
		"three minors older":       {map[string]string{"m1": "0.5.9"}, "0.2.0", "warned", "newer versions are on masters: m1 (0.5.9). "},
		"four minors older":        {map[string]string{"m1": "0.6.0"}, "0.2.9", "refused", "newer versions are on masters: m1 (0.6.0). "},
		"four older than one":      {map[string]string{"m1": "0.6.0", "m2": "0.5.0"}, "0.2.0", "refused", "newer versions are on masters: m1 (0.6.0), m2 (0.5.0). "},
		"of an earlier major":      {map[string]string{"m1": "1.0.0"}, "0.9.0", "refused", "newer versions are on masters: m1 (1.0.0). "},
		"not known":                {map[string]string{"m1": ""}, "0.2.0", "", ""},
		"a development build":      {map[string]string{"m1": "0.2.0"}, "0.0.0-model", "", ""},
		"masters of a development": {map[string]string{"m1": "0.0.0-dev"}, "0.2.0", "", ""},
		"no masters":               {nil, "0.2.0", "", ""},
	} {
		var diags diag.Diagnostics
		Skew("Pool p", c.masters, c.bundle, &diags)
		if got := outcome(diags); got != c.want || len(diags) > 1 {
			t.Errorf("%s: %q, want %q: %v", name, got, c.want, diags)
			continue
		}
		if c.want == "" {
			continue
		}
		said := diags[0].Detail()
		if want := fmt.Sprintf("Pool p: the bundle is version %s, and %s", c.bundle, c.who); !strings.HasPrefix(said, want) {
			t.Errorf("%s: %s, want %s", name, said, want)
		}
		if refused := c.want == "refused"; strings.Contains(said, "Nothing was changed on the servers of pool p.") != refused || strings.Contains(said, "terraform destroy -refresh=false") != refused {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestMastersThatCannotBeAsked(t *testing.T) {
	var diags diag.Diagnostics
	NotCompared("Pool p", errors.New("no route to host"), &diags)
	if outcome(diags) != "warned" || !strings.Contains(diags[0].Summary(), "Pool p") || !strings.Contains(diags[0].Detail(), "no route to host") {
		t.Error(diags)
	}
}

func TestWhenMastersAreAskedForTheirVersions(t *testing.T) {
	for name, c := range map[string]struct {
		old    model.HostStatus
		bundle string
		want   bool
	}{
		"a new minor":         {on("ready", "0.1.0"), "0.2.0", true},
		"a new patch":         {on("ready", "0.1.0"), "0.1.1", false},
		"an older one":        {on("ready", "0.2.0"), "0.1.0", true},
		"the same":            {on("ready", "0.1.0"), "0.1.0", false},
		"a failed upgrade":    {on("pending", "0.2.0"), "0.2.0", true},
		"not known":           {on("ready", ""), "0.2.0", true},
		"another server":      {model.HostStatus{State: str("ready"), Address: str("192.0.2.9"), Version: str("0.2.0")}, "0.2.0", true},
		"a development build": {on("ready", "0.1.0"), "0.0.0-dev", false},
	} {
		prior := map[string]model.HostStatus{"a": c.old}
		if got := AsksMasters(prior, []spec.Host{at("new", "192.0.2.2"), at("a", "192.0.2.1")}, c.bundle); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !AsksMasters(nil, []spec.Host{at("new", "192.0.2.2")}, "0.2.0") {
		t.Error("a new pool: they are not asked")
	}
}

func TestManyHostsAreNotAllNamed(t *testing.T) {
	versions := map[string]string{}
	for i := range 23 {
		versions[fmt.Sprintf("w%02d", i)] = "1.0.0"
	}
	if got := named(versions); !strings.HasPrefix(got, "w00 (1.0.0), w01 (1.0.0), ") || !strings.HasSuffix(got, ", w19 (1.0.0), and 3 more") {
		t.Error(got)
	}
}
