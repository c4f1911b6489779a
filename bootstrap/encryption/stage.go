package encryption

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// Stage is how far the masters are on the way to one key.
type Stage int

const (
	// Absent: a master lacks the key.
	Absent Stage = iota
	// Reads: all may read what the key wrote, and none writes with it.
	Reads
	// Writes: it writes, and Secrets that it did not write may be left.
	Writes
	// Alone: no other key is left.
	Alone
)

func (s Stage) String() string {
	return [...]string{"absent", "reads", "writes", "alone"}[s]
}

// Stage is how far one master is on the way to the key of that name.
func (c Config) Stage(name string) Stage {
	_, has := c.key(name)
	switch {
	case !has:
		return Absent
	case c.Plain || c.Keys[0].Name != name:
		return Reads
	case c.Rewriting || len(c.Keys) > 1:
		return Writes
	}
	return Alone
}

// Plan is what all masters are to have next: the file of a stage.
type Plan struct {
	Stage Stage
	Config
	name string
}

// First is the plan of a cluster that holds no Secrets yet.
func First(name string, newKey func(name string) (Key, error)) (Plan, error) {
	k, err := newKey(name)
	return Plan{Alone, Config{Keys: []Key{k}}, name}, err
}

// Next takes up what the masters' files, by master, say of the way to the key of that
// name; masters without one have no file. A stage was begun only after all masters had
// the one before, so that the furthest is what they all are to have.
func Next(name string, files map[string]Config, newKey func(name string) (Key, error)) (Plan, error) {
	p := Plan{name: name}
	first := true
	masters := slices.Sorted(maps.Keys(files))
	for _, m := range masters {
		if c := files[m]; first || c.Stage(name) > p.Stage {
			p.Stage, p.Config, first = c.Stage(name), c, false
		}
	}
	if first {
		p.Plain = true
	}
	if err := same(name, writing(name, masters, files), files); err != nil || p.Stage == Alone {
		return p, err
	}
	// A rotation may have been cut by another: keys that anybody has are kept.
	p.Keys = slices.Clone(p.Keys)
	for _, m := range masters {
		for _, k := range files[m].Keys {
			if _, has := p.key(k.Name); !has {
				p.Keys = append(p.Keys, k)
			}
			if k.Name == name {
				continue
			}
			if err := same(k.Name, masters, files); err != nil {
				return p, err
			}
		}
	}
	if p.Stage > Absent {
		return p, nil
	}
	k, err := newKey(name)
	p.Keys, p.Stage = append(p.Keys, k), Reads
	return p, err
}

// writing are the masters that write with the key: one that does not may have another of
// its name, of a run that was cut, with which nothing was written.
func writing(name string, masters []string, files map[string]Config) []string {
	return slices.DeleteFunc(slices.Clone(masters), func(m string) bool { return files[m].Stage(name) < Writes })
}

// same refuses two keys of one name: what one master wrote, another could not read.
func same(name string, masters []string, files map[string]Config) error {
	var of string
	var known Key
	for _, m := range masters {
		k, has := files[m].key(name)
		switch {
		case !has:
		case of == "":
			of, known = m, k
		case !bytes.Equal(k.Secret, known.Secret):
			return fmt.Errorf("masters %s and %s have different keys of the name %s: copy the file of the one whose Secrets can be read to the other", of, m, name)
		}
	}
	return nil
}

// Then is the plan once all masters have this one, and, where it writes, all Secrets
// were rewritten. Behind the last stage there is none.
func (p Plan) Then() (Plan, bool) {
	k, _ := p.key(p.name)
	switch p.Stage {
	case Reads:
		others := slices.DeleteFunc(slices.Clone(p.Keys), func(o Key) bool { return o.Name == p.name })
		p.Stage, p.Config = Writes, Config{Keys: append([]Key{k}, others...), Rewriting: true}
		return p, true
	case Writes:
		p.Stage, p.Config = Alone, Config{Keys: []Key{k}}
		return p, true
	}
	return p, false
}

// Unfinished says in words how a master's file differs from one that has the key of
// that name alone; empty when it does not.
func Unfinished(name string, file []byte) string {
	if len(file) == 0 {
		return "Secrets are not encrypted"
	}
	c, err := Parse(file)
	if err != nil {
		return err.Error()
	}
	switch c.Stage(name) {
	case Absent:
		return "Secrets are not encrypted with " + name
	case Reads:
		return "Secrets are not encrypted with " + name + " yet"
	case Writes:
		return "Secrets that " + name + " did not encrypt may be left"
	}
	return ""
}
