package proxy

import (
	"reflect"
	"testing"
)

func TestWhichUDPConnectionsAreStale(t *testing.T) {
	udp, tcp := front("10.96.0.1", "UDP", 53), front("10.96.0.1", "TCP", 53)
	one, both, other, none := to("10.0.0.1:53"), to("10.0.0.1:53", "10.0.0.2:53"), to("10.0.0.2:53"), Backend{Refuse: reject}
	for what, tc := range map[string]struct {
		before Rules
		change Change
		want   []Frontend
	}{
		"nothing changes":            {Rules{udp: one}, Change{}, nil},
		"the frontend is new":        {Rules{}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"it got its first endpoint":  {Rules{udp: none}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"it got another":             {Rules{udp: one}, Change{Set: Rules{udp: both}}, nil},
		"it lost one of two":         {Rules{udp: both}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"it lost one, and got one":   {Rules{udp: one}, Change{Set: Rules{udp: other}}, []Frontend{udp}},
		"it lost its last":           {Rules{udp: one}, Change{Set: Rules{udp: none}}, []Frontend{udp}},
		"it lost one inside":         {Rules{udp: {Endpoints: one.Endpoints, Inside: both.Endpoints}}, Change{Set: Rules{udp: {Endpoints: one.Endpoints, Inside: other.Endpoints}}}, []Frontend{udp}},
		"inside is as outside now":   {Rules{udp: {Endpoints: one.Endpoints, Inside: other.Endpoints}}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"inside got one more":        {Rules{udp: {Endpoints: one.Endpoints, Inside: one.Endpoints}}, Change{Set: Rules{udp: {Endpoints: one.Endpoints, Inside: both.Endpoints}}}, nil},
		"its endpoints stay":         {Rules{udp: both}, Change{Set: Rules{udp: both}}, nil},
		"it is gone":                 {Rules{udp: one}, Change{Remove: Rules{udp: one}}, []Frontend{udp}},
		"TCP is new":                 {Rules{}, Change{Set: Rules{tcp: one}}, nil},
		"TCP lost one":               {Rules{tcp: both}, Change{Set: Rules{tcp: one}}, nil},
		"TCP is gone":                {Rules{tcp: one}, Change{Remove: Rules{tcp: one}}, nil},
		"TCP is gone, and UDP is":    {Rules{}, Change{Remove: Rules{tcp: one, udp: one}}, []Frontend{udp}},
		"TCP and UDP lost their one": {Rules{tcp: one, udp: one}, Change{Set: Rules{tcp: none, udp: none}}, []Frontend{udp}},
	} {
		if got := staleUDP(tc.before, tc.change); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
	}
}
