package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
)

func str(s string) types.String { return types.StringValue(s) }

// entry is the status of a host at 192.0.2.1 with the key "key".
func entry(state, config string) model.HostStatus {
	return model.HostStatus{State: str(state), Address: str("192.0.2.1"), HostKey: str("key"), Config: str(config), Version: str("1"), Message: str("")}
}

// desired is what that host is to become; its key is pinned.
func desired(hash string) model.Desired {
	return model.Desired{Address: str("192.0.2.1"), HostKey: types.StringNull(), Hash: hash, Known: true}
}

func TestAPlanChangesOnlyWhatDiffers(t *testing.T) {
	prior := map[string]model.HostStatus{
		"same": entry("ready", "a"), "labels": entry("ready", "a"), "pending": entry("pending", "a"), "drifted": entry("drifted", "a"), "gone": entry("ready", "a"),
	}
	planned := Status(prior, map[string]model.Desired{"same": desired("a"), "labels": desired("b"), "pending": desired("a"), "drifted": desired("a"), "new": desired("a")}, str("1"), true)
	if got := Changed(prior, planned); !slices.Equal(got, []string{"drifted", "labels", "new", "pending"}) {
		t.Errorf("changes %v", got)
	}
	if planned["same"] != prior["same"] || len(planned) != 5 {
		t.Errorf("%+v", planned)
	}
	if got := Changed(prior, prior); got != nil {
		t.Errorf("nothing changes %v", got)
	}
}

func TestTheStatusThatAPlanShows(t *testing.T) {
	unknown, null := types.StringUnknown(), types.StringNull()
	with := func(change func(*model.Desired)) model.Desired {
		d := desired("a")
		change(&d)
		return d
	}
	elsewhere, keyless, older := entry("ready", "a"), entry("ready", "a"), entry("ready", "a")
	elsewhere.Address, keyless.HostKey, older.Version = str("192.0.2.9"), null, str("0")
	unpromised := func(key types.String) model.HostStatus {
		return model.HostStatus{State: unknown, Address: str("192.0.2.1"), HostKey: key, Config: str("a"), Version: unknown, Message: unknown}
	}
	status := func(state, key, config, message types.String) model.HostStatus {
		return model.HostStatus{State: state, Address: str("192.0.2.1"), HostKey: key, Config: config, Version: str("1"), Message: message}
	}
	for name, tc := range map[string]struct {
		prior   *model.HostStatus
		desired model.Desired
		certain bool
		want    model.HostStatus
	}{
		"new":                          {nil, desired("a"), true, status(str("ready"), unknown, str("a"), str(""))},
		"new, in a create":             {nil, desired("a"), false, unpromised(unknown)},
		"new, of a configured key":     {nil, with(func(d *model.Desired) { d.HostKey = str("mine") }), true, status(str("ready"), str("mine"), str("a"), str(""))},
		"changed":                      {new(entry("ready", "b")), desired("a"), true, status(str("ready"), str("key"), str("a"), str(""))},
		"changed, not promised":        {new(entry("ready", "b")), desired("a"), false, unpromised(str("key"))},
		"what it becomes is not known": {new(entry("ready", "a")), with(func(d *model.Desired) { d.Known, d.Hash = false, "" }), true, status(unknown, str("key"), unknown, unknown)},
		"at another address":           {&elsewhere, desired("a"), true, status(str("ready"), unknown, str("a"), str(""))},
		"without a key until now":      {&keyless, desired("a"), true, status(str("ready"), unknown, str("a"), str(""))},
		"another configured key":       {new(entry("ready", "a")), with(func(d *model.Desired) { d.HostKey = str("mine") }), true, status(str("ready"), str("mine"), str("a"), str(""))},
		"the configured key":           {new(entry("ready", "a")), with(func(d *model.Desired) { d.HostKey = str("key") }), true, entry("ready", "a")},
		"the same, not promised":       {new(entry("ready", "a")), desired("a"), false, entry("ready", "a")},
		"the same, of another version": {&older, desired("a"), true, older},
		"drifted":                      {new(entry("drifted", "a")), desired("a"), true, entry("ready", "a")},
	} {
		prior := map[string]model.HostStatus{}
		if tc.prior != nil {
			prior["w1"] = *tc.prior
		}
		if got := Status(prior, map[string]model.Desired{"w1": tc.desired}, str("1"), tc.certain)["w1"]; got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func at(name, address string) spec.Host { return spec.Host{Name: name, Address: address} }

func TestAHostLeavesWhenItsNameOrAddressIsGone(t *testing.T) {
	state := []spec.Host{at("a", "1"), at("b", "2"), at("c", "3")}
	if got := Names(Leaving(state, []spec.Host{at("a", "1"), at("b", "9"), at("d", "3")})); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("%v leave", got)
	}
	if got := Names(Leaving(state, nil)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("of a destroy %v leave", got)
	}
}

func TestHostsThatAreNew(t *testing.T) {
	prior := map[string]model.HostStatus{"ready": entry("ready", "a"), "pending": entry("pending", "a"), "drifted": entry("drifted", "a"), "absent": entry("absent", "a"), "moved": entry("ready", "a")}
	var hosts []spec.Host
	for _, name := range []string{"absent", "drifted", "moved", "new", "pending", "ready"} {
		hosts = append(hosts, at(name, "192.0.2.1"))
	}
	hosts[2].Address = "192.0.2.9"
	if got := New(prior, hosts); !slices.Equal(got, []string{"absent", "moved", "new", "pending"}) {
		t.Errorf("%v are new", got)
	}
}

func TestWhetherAMasterStays(t *testing.T) {
	state := []spec.Host{at("a", "1"), at("b", "2")}
	for name, tc := range map[string]struct {
		a, b string // how they stand
		plan []spec.Host
		want bool
	}{
		"none leaves":                   {"pending", "pending", state, true},
		"one leaves":                    {"ready", "ready", state[:1], true},
		"one that drifted stays":        {"drifted", "ready", state[:1], true},
		"one that never was one stays":  {"pending", "ready", state[:1], false},
		"one that is bare stays":        {"absent", "ready", state[:1], false},
		"all move":                      {"ready", "ready", []spec.Host{at("a", "8"), at("b", "9")}, false},
		"all leave, and another comes":  {"ready", "ready", []spec.Host{at("c", "3")}, false},
		"all leave, and one is pending": {"ready", "pending", nil, false},
	} {
		prior := map[string]model.HostStatus{"a": entry(tc.a, "x"), "b": entry(tc.b, "x")}
		if got := MasterStays(prior, state, tc.plan); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheRemovalLimit(t *testing.T) {
	state := []spec.Host{at("w1", "1"), at("w2", "2"), at("w3", "3")}
	for name, tc := range map[string]struct {
		limit types.Int64
		stay  []spec.Host
		want  string
	}{
		"none":      {types.Int64Null(), nil, ""},
		"not known": {types.Int64Unknown(), nil, ""},
		"met":       {types.Int64Value(1), state[:2], ""},
		"zero":      {types.Int64Value(0), state, ""},
		"exceeded":  {types.Int64Value(1), state[:1], "Pool p: 2 of 3 servers would leave the cluster (w2, w3), and removal_limit allows 1 in one apply. "},
		"a destroy": {types.Int64Value(2), nil, "Pool p: 3 of 3 servers would leave the cluster (w1, w2, w3), and removal_limit allows 2 in one apply. "},
	} {
		var diags diag.Diagnostics
		LimitRemoval("p", state, tc.stay, tc.limit, &diags)
		if diags.HasError() != (tc.want != "") || tc.want != "" && !strings.HasPrefix(diags[0].Detail(), tc.want) {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestVolumesAreNotLostUnasked(t *testing.T) {
	lost := []string{"w1: volume v (1Gi), claim n/c, used by pod n/p"}
	var many []string
	for range 25 {
		many = append(many, "w1: volume v")
	}
	for name, tc := range map[string]struct {
		lost     []string
		err      error
		allowed  types.Bool
		refused  bool
		warnings int
		want     string
	}{
		"none":            {nil, nil, types.BoolNull(), false, 0, ""},
		"some":            {lost, nil, types.BoolNull(), true, 0, "w1: volume v (1Gi), claim n/c, used by pod n/p"},
		"not allowed":     {lost, nil, types.BoolValue(false), true, 0, "set allow_volume_loss = true"},
		"allowed":         {lost, nil, types.BoolValue(true), false, 1, "w1: volume v (1Gi), claim n/c"},
		"many":            {many, nil, types.BoolNull(), true, 0, "and 5 more"},
		"who knows":       {nil, errors.New("no master answers"), types.BoolNull(), false, 1, "could not be determined: no master answers"},
		"some, and more?": {lost, errors.New("no"), types.BoolNull(), true, 1, ""},
	} {
		var diags diag.Diagnostics
		LoseVolumes("Pool p", tc.lost, tc.err, tc.allowed, &diags)
		text := ""
		for _, d := range diags {
			text += d.Detail()
		}
		if diags.HasError() != tc.refused || diags.WarningsCount() != tc.warnings || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestAnEvenNumberOfMastersIsWarnedOf(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "", 2: "2 masters bear the loss of no more than 1 would", 3: "", 4: "4 masters bear the loss of no more than 3 would"} {
		var diags diag.Diagnostics
		if EvenMasters(n, &diags); diags.WarningsCount() != len(diags) || (len(diags) == 1) != (want != "") || want != "" && diags[0].Summary() != want {
			t.Errorf("%d: %v", n, diags)
		}
	}
}

func TestWhatIsInstalledAlready(t *testing.T) {
	var x Installed
	hosts := []spec.Host{at("a", "192.0.2.1"), at("b", "192.0.2.2"), at("c", "192.0.2.3")}
	names := []string{"a", "b", "c"}
	if got := x.Without("pool p", hosts, names); !slices.Equal(got, names) {
		t.Errorf("of nothing: %v", got)
	}
	status := map[string]model.HostStatus{"a": entry("ready", "x"), "b": entry("pending", "x"), "c": entry("absent", "x")}
	for i, name := range names {
		s := status[name]
		s.Address = str(fmt.Sprintf("192.0.2.%d", i+1))
		status[name] = s
	}
	x.Add("pool p", status)
	if got := x.Without("pool p", hosts, names); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("of its own: %v", got)
	}
	if got := x.Without("pool q", hosts, names); !slices.Equal(got, names) || !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("of another: %v of %v", got, names)
	}
	if got := x.Without("pool p", []spec.Host{at("a", "192.0.2.9")}, []string{"a"}); !slices.Equal(got, []string{"a"}) {
		t.Errorf("at another address: %v", got)
	}
}

func TestAKubeconfigIsKept(t *testing.T) {
	cluster := types.ObjectNull(model.HandleType().AttrTypes)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	file := func() model.KubeconfigFile {
		return model.KubeconfigFile{Cluster: cluster, Path: str("p"), Validity: str("24h"), RenewBefore: str("1h"), User: str("u"), Groups: types.ListNull(types.StringType), ExpiresAt: str("2030-01-01T01:00:01Z")}
	}
	for name, tc := range map[string]struct {
		change func(plan, state *model.KubeconfigFile)
		want   bool
	}{
		"as it is":             {func(_, _ *model.KubeconfigFile) {}, true},
		"its end is near":      {func(_, s *model.KubeconfigFile) { s.ExpiresAt = str("2030-01-01T01:00:00Z") }, false},
		"renewed later":        {func(p, _ *model.KubeconfigFile) { p.RenewBefore = str("30m") }, true},
		"renewed earlier":      {func(p, _ *model.KubeconfigFile) { p.RenewBefore = str("2h") }, false},
		"no end":               {func(_, s *model.KubeconfigFile) { s.ExpiresAt = types.StringNull() }, false},
		"another path":         {func(p, _ *model.KubeconfigFile) { p.Path = str("q") }, false},
		"another validity":     {func(p, _ *model.KubeconfigFile) { p.Validity = str("25h") }, false},
		"another user":         {func(p, _ *model.KubeconfigFile) { p.User = str("v") }, false},
		"other groups":         {func(p, _ *model.KubeconfigFile) { p.Groups = model.StringList([]string{"g"}) }, false},
		"a cluster not known":  {func(p, _ *model.KubeconfigFile) { p.Cluster = types.ObjectUnknown(model.HandleType().AttrTypes) }, false},
		"a fingerprint is not": {func(p, _ *model.KubeconfigFile) { p.Fingerprint = types.StringUnknown() }, true},
	} {
		plan, state := file(), file()
		tc.change(&plan, &state)
		if got := KeepsKubeconfig(&plan, &state, now); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestALifetimeThatEachApplyWouldEnd(t *testing.T) {
	for _, tc := range []struct {
		validity, before types.String
		want             string
	}{
		{types.StringNull(), types.StringNull(), ""}, {str("2h"), str("1h59m"), ""}, {str("soon"), str("1h"), ""},
		{str("2h"), str("2h"), "It is good for 2h0m0s (validity), and renewed 2h0m0s before its end (renew_before, 24h unless said otherwise)."},
		{str("1h"), types.StringNull(), "It is good for 1h0m0s (validity), and renewed 24h0m0s before its end"},
	} {
		var diags diag.Diagnostics
		ValidateLifetime(&model.KubeconfigFile{Validity: tc.validity, RenewBefore: tc.before}, &diags)
		if diags.HasError() != (tc.want != "") || tc.want != "" && !strings.HasPrefix(diags[0].Detail(), tc.want) {
			t.Errorf("%s and %s: %v", tc.validity, tc.before, diags)
		}
	}
}
