package model

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/pki"
)

func TestTheCertificateOfAKubeconfig(t *testing.T) {
	none := types.ListNull(types.StringType)
	for name, tc := range map[string]struct {
		user     types.String
		groups   types.List
		validity types.String
		want     Certificate
		file     time.Duration
	}{
		"the default": {types.StringNull(), none, types.StringNull(), Certificate{User: "gantry-admin", Groups: []string{"system:masters"}, Validity: time.Hour}, 168 * time.Hour},
		"all its own": {str("ci"), StringList([]string{"a", "b"}), str("10m"), Certificate{User: "ci", Groups: []string{"a", "b"}, Validity: 10 * time.Minute}, 10 * time.Minute},
		"no group":    {str("ci"), StringList(nil), str("10m"), Certificate{User: "ci", Groups: nil, Validity: 10 * time.Minute}, 10 * time.Minute},
	} {
		var diags diag.Diagnostics
		e := Kubeconfig{Cluster: handle(t, nil), User: tc.user, Groups: tc.groups, Validity: tc.validity}
		f := KubeconfigFile{Cluster: e.Cluster, User: tc.user, Groups: tc.groups, Validity: tc.validity}
		got, file := e.Certificate(t.Context(), &diags), f.Certificate(t.Context(), &diags)
		fine(t, diags)
		if got.User != tc.want.User || !slices.Equal(got.Groups, tc.want.Groups) || got.Validity != tc.want.Validity || got.Cluster.ClusterName != "demo" {
			t.Errorf("%s: %+v", name, got)
		}
		if file.User != got.User || !slices.Equal(file.Groups, got.Groups) || file.Validity != tc.file {
			t.Errorf("%s, of a file: %+v", name, file)
		}
	}
}

func TestTheLifetimeOfAKubeconfigFile(t *testing.T) {
	for _, tc := range []struct {
		validity, before types.String
		v, b             time.Duration
		ok               bool
	}{
		{types.StringNull(), types.StringNull(), 168 * time.Hour, 24 * time.Hour, true},
		{str("2h"), str("1h"), 2 * time.Hour, time.Hour, true},
		{str("soon"), str("1h"), 0, time.Hour, false},
		{str("2h"), str("soon"), 2 * time.Hour, 0, false},
	} {
		m := KubeconfigFile{Validity: tc.validity, RenewBefore: tc.before}
		if v, b, ok := m.Lifetime(); v != tc.v || b != tc.b || ok != tc.ok {
			t.Errorf("%s and %s: %s, %s, %v", tc.validity, tc.before, v, b, ok)
		}
	}
}

func TestWhatIsSignedIsTold(t *testing.T) {
	c := bootstrap.Credentials{Kubeconfig: []byte("config"), Server: "https://a", CA: []byte("ca"), Pair: pki.Pair{Cert: []byte("cert"), Key: []byte("key")}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	e := Kubeconfig{User: str("u")}
	e.Set(c)
	want := Kubeconfig{User: str("u"), Kubeconfig: str("config"), Host: str("https://a"), CA: str("ca"), Cert: str("cert"), Key: str("key"), ExpiresAt: str("2030-01-02T03:04:05Z")}
	if e.Kubeconfig != want.Kubeconfig || e.Host != want.Host || e.CA != want.CA || e.Cert != want.Cert || e.Key != want.Key || e.ExpiresAt != want.ExpiresAt || e.User != want.User {
		t.Errorf("%+v", e)
	}
	f := KubeconfigFile{Path: str("~/x")}
	f.Set(c)
	if f.ID != str("~/x") || f.ExpiresAt != want.ExpiresAt || f.Fingerprint != str(Fingerprint([]byte("config"))) {
		t.Errorf("%+v", f)
	}
	if got := Fingerprint([]byte("abc")); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("the fingerprint is no SHA-256: %s", got)
	}
}
