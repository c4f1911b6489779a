package workers

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestANameIsFreeBeforeAnotherServerTakesIt(t *testing.T) {
	at := func(names ...string) (out []spec.Host) {
		for _, n := range names {
			name, address, _ := strings.Cut(n, "@")
			out = append(out, spec.Host{Name: name, Address: address})
		}
		return out
	}
	for name, tc := range map[string]struct {
		leaving, touch []spec.Host
		moving, others []string
	}{
		"nobody":                {},
		"one leaves":            {leaving: at("w1@a"), touch: at("w2@b"), others: []string{"w1"}},
		"one moves":             {leaving: at("w1@a"), touch: at("w1@b"), moving: []string{"w1"}},
		"one is renamed":        {leaving: at("w1@a"), touch: at("edge@a"), moving: []string{"w1"}},
		"two change their name": {leaving: at("w2@b", "w1@a"), touch: at("w1@b", "w2@a"), moving: []string{"w1", "w2"}},
		"some do, some do":      {leaving: at("w1@a", "w2@b", "w3@c"), touch: at("w2@d", "w4@e"), moving: []string{"w2"}, others: []string{"w1", "w3"}},
	} {
		moving, others := orderRemovals(tc.leaving, tc.touch)
		if !slices.Equal(moving, tc.moving) || !slices.Equal(others, tc.others) {
			t.Errorf("%s: %v move, %v leave", name, moving, others)
		}
	}
}

func TestTheConditionsOfAPoolsPhases(t *testing.T) {
	away := errors.New("no master")
	for name, tc := range map[string]struct {
		op                                      Operation
		reached, joins, moves, removes, abandon bool
	}{
		"nothing to do":                {op: Operation{}, reached: true},
		"hosts join":                   {op: Operation{Change: Change{Touch: []string{"w1"}}}, reached: true, joins: true},
		"hosts move":                   {op: Operation{moving: []string{"w1"}}, reached: true, moves: true},
		"hosts leave":                  {op: Operation{others: []string{"w1"}}, reached: true, removes: true},
		"nothing without a master":     {op: Operation{noAccess: away, moving: []string{"w1"}, others: []string{"w2"}, Change: Change{Touch: []string{"w1"}}}},
		"a destroy that abandons":      {op: Operation{Change: Change{Destroy: true}, Config: Config{AbandonUnreachable: true}}, reached: true, abandon: true},
		"a destroy that does not":      {op: Operation{Change: Change{Destroy: true}}, reached: true},
		"a removal abandons nobody":    {op: Operation{Config: Config{AbandonUnreachable: true}}, reached: true},
		"a destroy without its master": {op: Operation{noAccess: away, Change: Change{Destroy: true}, Config: Config{AbandonUnreachable: true}}, abandon: true},
	} {
		o := &tc.op
		got := []bool{Reached(o), NotReached(o), Joins(o), Moves(o), Removes(o), o.Abandons()}
		if want := []bool{tc.reached, !tc.reached, tc.joins, tc.moves, tc.removes, tc.abandon}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestWantedAreTheHostsOfThePoolThatAreNamed(t *testing.T) {
	p := spec.Pool{Name: "p", Hosts: []spec.Host{{Name: "w1"}, {Name: "w2"}}}
	got := Wanted(spec.Connection{ClusterID: "id"}, p, []string{"w2", "w9"})
	if len(got) != 1 || got["w2"].Host.Name != "w2" || got["w2"].Pool != "p" || got["w2"].ClusterID != "id" {
		t.Errorf("got %+v", got)
	}
}
