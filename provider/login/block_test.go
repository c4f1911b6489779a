package login

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
)

func TestTheSSHBlockIsChecked(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "/nonexistent")
	s := types.StringValue
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, said := read(t, sshBlock(t, map[string]attr.Value{
		"user": s("admin"), "password": s("p"), "sudo_password": s("q"), "host_key_policy": s("known_hosts"), "known_hosts_file": s(known),
	}, map[string]attr.Value{"address": s("192.0.2.1")}))
	if said != "" || c.Password != "p" || c.SudoPassword != "q" || c.HostKeys != ssh.KnownHosts || c.KnownHostsFile != known || c.Agent || c.Jumps == nil {
		t.Errorf("said %q", said)
	}
	if c, _, said := read(t, sshBlock(t, map[string]attr.Value{})); said != "" || c.HostKeys != ssh.Pin || !c.Agent {
		t.Errorf("the defaults are policy %q, agent %v: %s", c.HostKeys, c.Agent, said)
	}
	for want, values := range map[string]map[string]attr.Value{
		"Unknown policy":                     {"host_key_policy": s("trust")},
		"known_hosts file cannot be used":    {"host_key_policy": s("known_hosts"), "known_hosts_file": s("/nonexistent")},
		"known_hosts file would not be used": {"known_hosts_file": s(known)},
		"certificate cannot be used":         {"certificate": s("nonsense")},
		"The file cannot be read":            {"certificate_file": s("/nonexistent")},
		"The private key cannot be used":     {"private_key": s("nonsense")},
		"1: expected 2 or more":              {"max_sessions": types.Int64Value(1)},
	} {
		if _, _, said := read(t, sshBlock(t, values)); !strings.Contains(said, want) {
			t.Errorf("%v: said %q, want %q", values, said, want)
		}
	}
}

func TestProfilesTakeFromTheBlockWhatTheyLeaveOut(t *testing.T) {
	d, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	s := types.StringValue
	block := sshBlock(t, map[string]attr.Value{
		"user": s("admin"), "private_key": s(string(d.ClientKey)), "sudo_password": s("sudo"), "port": types.Int64Value(2222), "keepalive": s("7s"),
		"command_timeout": s("2m"), "max_sessions": types.Int64Value(3), "keepalive_count": types.Int64Value(9),
	}, map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey)})
	entry := blockType()
	profiles := func(values map[string]attr.Value) types.Map { return types.MapValueMust(entry, values) }
	noJumps := types.ListValueMust(jumpType(), nil)

	var diags diag.Diagnostics
	got, known := Read(t.Context(), block, profiles(map[string]attr.Value{
		"same":     filled(t, entry, nil),
		"password": filled(t, entry, map[string]attr.Value{"password": s("secret"), "user": s("root"), "keepalive": s("1s")}),
		"direct":   filled(t, entry, map[string]attr.Value{"jump_hosts": noJumps}),
	}), &diags)
	if !known || diags.HasError() || len(got) != 4 {
		t.Fatal(known, diags, len(got))
	}
	if c := got["same"]; string(c.PrivateKey) != string(d.ClientKey) || c.User != "admin" || c.Port != 2222 || c.SudoPassword != "sudo" || c.KeepAlive != 7*time.Second ||
		c.CommandTimeout != 2*time.Minute || c.MaxSessions != 3 || c.KeepAliveMisses != 9 || c.Jumps == nil || c.Jumps != got[""].Jumps {
		t.Error("a profile that says nothing is not as the block")
	}
	if c := got["password"]; len(c.PrivateKey) > 0 || c.Password != "secret" || c.User != "root" || c.Port != 2222 || c.KeepAlive != time.Second || c.Agent {
		t.Error("a profile with a password of its own is offered more than that")
	}
	if c := got["direct"]; c.Jumps != nil || len(c.PrivateKey) == 0 {
		t.Error("a profile without jump hosts has some, or no key")
	}

	got.Check(path.Root("hosts"), []spec.Host{{Name: "a"}, {Name: "b", SSH: spec.SSH{Profile: "direct"}}}, &diags)
	if diags.HasError() {
		t.Error(diags)
	}
	got.Check(path.Root("hosts"), []spec.Host{{Name: "c", SSH: spec.SSH{Profile: "edge"}}}, &diags)
	if len(diags.Errors()) != 1 || !strings.Contains(diags[0].Detail(), `host c is to be logged in to by the profile "edge", and the provider's ssh_profiles have direct, password, same`) {
		t.Errorf("an unknown profile: %v", diags)
	}
	diags = nil
	Read(t.Context(), block, profiles(map[string]attr.Value{"bad": filled(t, entry, map[string]attr.Value{"private_key": s("nonsense")})}), &diags)
	if len(diags.Errors()) != 1 || !strings.Contains(diags[0].(diag.DiagnosticWithPath).Path().String(), `ssh_profiles["bad"]`) {
		t.Errorf("a profile's bad key: %v", diags)
	}
	if _, known := Read(t.Context(), block, profiles(map[string]attr.Value{"later": types.ObjectUnknown(entry.AttrTypes)}), &diags); known {
		t.Error("a profile that is not known yet makes no difference")
	}
}

// A profile with a credential of any kind is offered none of the block's.
func TestCredentialsGoTogether(t *testing.T) {
	s := types.StringValue
	block := Block{PrivateKey: s("k"), PrivateKeyFile: s("f"), Passphrase: s("p"), Certificate: s("c"), CertificateFile: s("cf"), Password: s("pw"), Agent: types.BoolValue(true)}
	credentials := func(b Block) Block {
		return Block{PrivateKey: b.PrivateKey, PrivateKeyFile: b.PrivateKeyFile, Passphrase: b.Passphrase, Certificate: b.Certificate, CertificateFile: b.CertificateFile, Password: b.Password, Agent: b.Agent}
	}
	if got := (Block{}).withDefaults(block); !equal(credentials(got), block) {
		t.Errorf("without any it has %+v", got)
	}
	for name, own := range map[string]Block{
		"key": {PrivateKey: s("x")}, "key file": {PrivateKeyFile: s("x")}, "certificate": {Certificate: s("x")}, "certificate file": {CertificateFile: s("x")},
		"password": {Password: s("x")}, "agent": {Agent: types.BoolValue(false)},
	} {
		if got := own.withDefaults(block); !equal(credentials(got), own) {
			t.Errorf("with a %s it has %+v", name, got)
		}
	}
}

// equal compares all but jump hosts.
func equal(a, b Block) bool {
	a.JumpHosts, b.JumpHosts = types.ListNull(types.StringType), types.ListNull(types.StringType)
	return reflect.DeepEqual(a, b)
}

func TestHostKeysAreJudgedInOneWay(t *testing.T) {
	s := types.StringValue
	block := Block{HostKeyPolicy: s("known_hosts"), KnownHostsFile: s("f")}
	for name, tc := range map[string]struct{ own, want Block }{
		"the block's": {Block{}, block}, "its own policy": {Block{HostKeyPolicy: s("pin")}, Block{HostKeyPolicy: s("pin")}}, "its own file": {Block{KnownHostsFile: s("g")}, Block{KnownHostsFile: s("g")}},
	} {
		if got := tc.own.withDefaults(block); got.HostKeyPolicy != tc.want.HostKeyPolicy || got.KnownHostsFile != tc.want.KnownHostsFile {
			t.Errorf("%s: %s, %s", name, got.HostKeyPolicy, got.KnownHostsFile)
		}
	}
}

func TestTheAgentIsUsedWhereNothingElseIsGiven(t *testing.T) {
	d, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	key := types.StringValue(string(d.ClientKey))
	for name, tc := range map[string]struct {
		socket string
		values map[string]attr.Value
		want   bool
	}{
		"nothing":               {"/s", map[string]attr.Value{}, true},
		"nothing, and no agent": {"", map[string]attr.Value{}, false},
		"a key":                 {"/s", map[string]attr.Value{"private_key": key}, false},
		"a password":            {"/s", map[string]attr.Value{"password": types.StringValue("p")}, false},
		"a key and the agent":   {"", map[string]attr.Value{"private_key": key, "agent": types.BoolValue(true)}, true},
		"not the agent":         {"/s", map[string]attr.Value{"agent": types.BoolValue(false)}, false},
	} {
		t.Setenv("SSH_AUTH_SOCK", tc.socket)
		if c, _, said := read(t, sshBlock(t, tc.values)); c.Agent != tc.want || said != "" {
			t.Errorf("%s: %v, %s", name, c.Agent, said)
		}
	}
}

// The home directory has the known_hosts file where none is given.
func TestTheKnownHostsFileOfTheUser(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, ".ssh", "known_hosts")
	policy := map[string]attr.Value{"host_key_policy": types.StringValue("known_hosts"), "password": types.StringValue("p")}
	if _, _, said := read(t, sshBlock(t, policy)); !strings.Contains(said, "known_hosts file cannot be used") {
		t.Errorf("none is there: %s", said)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, _, said := read(t, sshBlock(t, policy)); c.KnownHostsFile != file || said != "" {
		t.Errorf("%q, %s", c.KnownHostsFile, said)
	}
	t.Setenv("HOME", "")
	if _, _, said := read(t, sshBlock(t, policy)); !strings.Contains(said, "No known_hosts file") {
		t.Errorf("no home: %s", said)
	}
}

func TestNumbersAreChecked(t *testing.T) {
	n := types.Int64Value
	for name, least := range map[string]int64{"keepalive_count": 1, "max_sessions": 2, "port": 1} {
		for _, tc := range []struct {
			n  int64
			ok bool
		}{{0, true}, {least, true}, {least - 1, least == 1}, {-1, false}} {
			_, _, said := read(t, sshBlock(t, map[string]attr.Value{name: n(tc.n), "password": types.StringValue("p")}))
			if (said == "") != tc.ok || !tc.ok && !strings.HasPrefix(said, "ssh."+name+": Too small a number: ") {
				t.Errorf("%s = %d: %q", name, tc.n, said)
			}
		}
	}
}

func TestProfilesAreNamedInOrder(t *testing.T) {
	h := spec.Host{Name: "w1", SSH: spec.SSH{Profile: "x"}}
	for want, p := range map[string]Profiles{"have none": {"": {}}, "have a, b": {"b": {}, "": {}, "a": {}}} {
		if _, err := p.Of(h); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if c, err := (Profiles{"x": {Port: 7}}).Of(h); err != nil || c.Port != 7 {
		t.Errorf("%+v, %v", c, err)
	}
	var diags diag.Diagnostics
	Profiles{"": {}}.Check(path.Root("hosts"), []spec.Host{h}, &diags)
	if len(diags) != 1 || diags[0].(diag.DiagnosticWithPath).Path().String() != `hosts["w1"].ssh.profile` {
		t.Errorf("%v", diags)
	}
}
