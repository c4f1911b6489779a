package encryption

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
)

func TestTheFile(t *testing.T) {
	a, b := key("key-0", 'a'), key("key-1", 'b')
	secret := base64.StdEncoding.EncodeToString(a.Secret)
	got, err := Config{Keys: []Key{a}, Rewriting: true}.Marshal()
	want := rewriting + `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- providers:
  - secretbox:
      keys:
      - name: key-0
        secret: ` + secret + `
  - identity: {}
  resources:
  - secrets
`
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s", err, got)
	}
	if string(Decisive(got)) != strings.TrimPrefix(want, rewriting) || string(Decisive([]byte(want)[len(rewriting):])) != strings.TrimPrefix(want, rewriting) {
		t.Errorf("what decides is %s", Decisive(got))
	}
	for what, c := range map[string]Config{
		"one key": {Keys: []Key{a}}, "two keys": {Keys: []Key{b, a}}, "plain": {Keys: []Key{a}, Plain: true}, "rewriting": {Keys: []Key{a, b}, Rewriting: true},
	} {
		data, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(data); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: read is %+v %v", what, got, err)
		}
	}
}

func TestAnothersFileIsNotRead(t *testing.T) {
	data, err := Config{Keys: []Key{key("key-0", 'a')}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	secret := base64.StdEncoding.EncodeToString(key("", 'a').Secret)
	for what, tc := range map[string]struct{ old, now, err string }{
		"nothing":           {string(data), "", "no EncryptionConfiguration of ours"},
		"another kind":      {kind, "Secret", "no EncryptionConfiguration of ours"},
		"another version":   {"/v1", "/v2", "no EncryptionConfiguration of ours"},
		"more kinds":        {"- secrets", "- secrets\n  - configmaps", "of secrets alone"},
		"another provider":  {"secretbox", "aesgcm", "no EncryptionConfiguration of ours"},
		"plain twice":       {"secretbox:\n      keys:\n      - name: key-0\n        secret: " + secret, "identity: {}", "have to be secretbox and identity"},
		"no way to go back": {"  - identity: {}\n", "", "by two providers"},
		"a short key":       {secret, "YWFh", "32 bytes in base64"},
		"no base64":         {secret, "a+", "32 bytes in base64"},
		"no key":            {"keys:\n      - name: key-0\n        secret: " + secret, "keys: []", "it has no keys"},
		"a key twice":       {"      - name: key-0", "      - name: key-0\n        secret: " + secret + "\n      - name: key-0", `key "key-0" is there twice`},
		"a secret of lists": {"secret: " + secret, "secret: [" + secret + "]", "no EncryptionConfiguration of ours"},
	} {
		given := strings.Replace(string(data), tc.old, tc.now, 1)
		if given == string(data) {
			t.Fatalf("%s: nothing is other", what)
		}
		c, err := Parse([]byte(given))
		if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %+v %v, want %q", what, c, err, tc.err)
		}
		if Rotation([]byte(given)) != 0 {
			t.Errorf("%s: it has a rotation", what)
		}
	}
}

func TestKeys(t *testing.T) {
	a, errA := NewKey(KeyName(7))
	b, errB := NewKey(KeyName(7))
	if errA != nil || errB != nil || a.Name != "key-7" || len(a.Secret) != 32 || string(a.Secret) == string(b.Secret) {
		t.Errorf("%s of %d bytes %v %v", a.Name, len(a.Secret), errA, errB)
	}
	data, err := Config{Keys: []Key{a}}.Marshal()
	if err != nil || Rotation(data) != 7 || Rotation(nil) != 0 {
		t.Errorf("its rotation is %d %v", Rotation(data), err)
	}
}
