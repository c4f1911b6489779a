package encryption

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// counted makes keys that differ.
func counted() func(string) (Key, error) {
	n := byte(0)
	return func(name string) (Key, error) {
		n++
		return Key{name, bytes.Repeat([]byte{n}, keySize)}, nil
	}
}

func key(name string, fill byte) Key { return Key{name, bytes.Repeat([]byte{fill}, keySize)} }

func TestStages(t *testing.T) {
	a, b := key("key-0", 1), key("key-1", 2)
	for what, tc := range map[string]struct {
		config Config
		want   Stage
		says   string
	}{
		"another key":          {Config{Keys: []Key{a}}, Absent, "are not encrypted with key-1"},
		"it is second":         {Config{Keys: []Key{a, b}}, Reads, "with key-1 yet"},
		"it is first of plain": {Config{Keys: []Key{b}, Plain: true}, Reads, "with key-1 yet"},
		"it is first":          {Config{Keys: []Key{b, a}}, Writes, "may be left"},
		"it rewrites":          {Config{Keys: []Key{b}, Rewriting: true}, Writes, "may be left"},
		"it is alone":          {Config{Keys: []Key{b}}, Alone, ""},
	} {
		data, err := tc.config.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got := tc.config.Stage("key-1"); got != tc.want {
			t.Errorf("%s: %s, want %s", what, got, tc.want)
		}
		if got := Unfinished("key-1", data); (got == "") != (tc.says == "") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: it says %q, want %q", what, got, tc.says)
		}
	}
	if got := Unfinished("key-0", nil); got != "Secrets are not encrypted" {
		t.Errorf("of no file: %q", got)
	}
	if got := Unfinished("key-0", []byte("x")); !strings.Contains(got, "EncryptionConfiguration of ours") {
		t.Errorf("of another's file: %q", got)
	}
}

func TestANewClusterHasItsKeyAlone(t *testing.T) {
	p, err := First("key-3", counted())
	if _, more := p.Then(); err != nil || p.Stage != Alone || more || len(p.Keys) != 1 || p.Plain || p.Rewriting || p.Config.Stage("key-3") != Alone {
		t.Errorf("%+v %v", p, err)
	}
}

func TestWhatCannotGoOn(t *testing.T) {
	failed := errors.New("no randomness")
	if _, err := Next("key-1", map[string]Config{"m1": {Keys: []Key{key("key-0", 1)}}}, func(string) (Key, error) { return Key{}, failed }); !errors.Is(err, failed) {
		t.Errorf("without a key: %v", err)
	}
	for what, files := range map[string]map[string]Config{
		"the old ones":     {"m1": {Keys: []Key{key("key-0", 1)}}, "m2": {Keys: []Key{key("key-0", 2)}}},
		"the new ones":     {"m1": {Keys: []Key{key("key-1", 1)}}, "m2": {Keys: []Key{key("key-1", 2)}}},
		"those that write": {"m1": {Keys: []Key{key("key-1", 1), key("key-0", 3)}}, "m2": {Keys: []Key{key("key-1", 2), key("key-0", 3)}}},
	} {
		if _, err := Next("key-1", files, counted()); err == nil || !strings.Contains(err.Error(), "masters m1 and m2 have different keys of the name key-") {
			t.Errorf("%s differ: %v", what, err)
		}
	}
}

// A run that was cut may have left another key of the name on a master, with which
// nobody wrote.
func TestAKeyThatNeverWroteGivesWay(t *testing.T) {
	for what, tc := range map[string]struct {
		m1, m2 Config
		want   Stage
	}{
		"to one that reads":  {Config{Keys: []Key{key("key-0", 1)}, Plain: true}, Config{Keys: []Key{key("key-0", 2)}, Plain: true}, Reads},
		"to one that writes": {Config{Keys: []Key{key("key-0", 1)}, Rewriting: true}, Config{Keys: []Key{key("key-0", 2)}, Plain: true}, Writes},
		"to one alone":       {Config{Keys: []Key{key("key-0", 1)}}, Config{Keys: []Key{key("key-0", 2)}, Plain: true}, Alone},
	} {
		p, err := Next("key-0", map[string]Config{"m1": tc.m1, "m2": tc.m2}, counted())
		if err != nil || p.Stage != tc.want || len(p.Keys) != 1 || p.Keys[0].Secret[0] != 1 {
			t.Errorf("%s: %s of %v %v", what, p.Stage, p.Keys, err)
		}
	}
}

// masters is a model: API servers with what each does, and the Secrets in their store by
// the key that wrote each ("" wrote it plain).
type masters struct {
	t       *testing.T
	files   map[string]Config
	secrets []Key
	random  *rand.Rand
}

func (m *masters) writer(name string) Key {
	if c, has := m.files[name]; has && !c.Plain {
		return c.Keys[0]
	}
	return Key{}
}

// check has every master write a Secret, and then all read all.
func (m *masters) check(names []string, when string) {
	m.t.Helper()
	for _, name := range names {
		if m.random.IntN(2) == 0 {
			m.secrets = append(m.secrets, m.writer(name))
		}
	}
	for _, name := range names {
		for _, s := range m.secrets {
			if k, has := m.files[name].key(s.Name); s.Name != "" && (!has || !bytes.Equal(k.Secret, s.Secret)) {
				m.t.Fatalf("%s: %s cannot read what %s wrote", when, name, s.Name)
			}
		}
	}
}

// apply is a run that is cut after some changes; zero is never. It reports whether it
// came to its end.
func (m *masters) apply(name string, names []string, newKey func(string) (Key, error), cut int) bool {
	m.t.Helper()
	p, err := Next(name, m.files, newKey)
	if err != nil {
		m.t.Fatal(err)
	}
	changes := 0
	next := func() bool { changes++; return changes != cut }
	for {
		for _, i := range m.random.Perm(len(names)) { // the first stage is written to all at once, in any order
			data, err := p.Marshal()
			if err != nil {
				m.t.Fatal(err)
			}
			if m.files[names[i]], err = Parse(data); err != nil {
				m.t.Fatal(err)
			}
			m.check(names, fmt.Sprintf("%s of %s on %s", p.Stage, name, names[i]))
			if !next() {
				return false
			}
		}
		if p.Stage == Writes {
			for i := range m.secrets {
				m.secrets[i] = m.writer(names[m.random.IntN(len(names))])
				if m.check(names, "rewriting"); !next() {
					return false
				}
			}
		}
		var more bool
		if p, more = p.Then(); !more {
			return true
		}
	}
}

// However often a run is cut, and whatever rotation comes before another is finished,
// each master always reads what any of them writes, and in the end there is one key.
func TestEveryMasterAlwaysReadsWhatAnyWrites(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		names := []string{"m1", "m2", "m3"}[:1+random.IntN(3)]
		newKey := counted()
		m := &masters{t: t, files: map[string]Config{}, random: random}
		if random.IntN(2) == 0 { // made with a key
			p, err := First(KeyName(0), newKey)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				m.files[name] = p.Config
			}
		}
		m.check(names, "the start")
		for rotation := range 3 {
			name := KeyName(rotation)
			for range random.IntN(4) {
				m.apply(name, names, newKey, 1+random.IntN(20))
			}
			if rotation < 2 && random.IntN(2) == 0 {
				continue // unfinished
			}
			if !m.apply(name, names, newKey, 0) {
				t.Fatal("it was cut")
			}
			for _, master := range names {
				if got := m.files[master]; got.Stage(name) != Alone || len(got.Keys) != 1 || got.Plain {
					t.Fatalf("seed %d: in the end %s has %+v", seed, master, got)
				}
			}
			before := fmt.Sprint(m.files)
			if m.apply(name, names, newKey, 0); fmt.Sprint(m.files) != before {
				t.Fatalf("seed %d: a second run changes something", seed)
			}
		}
	}
}
