package fuzz

import (
	"net/url"
	"testing"
)

func TestWhatAnAnswerMayBe(t *testing.T) {
	values := func(pairs ...string) url.Values {
		out := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			out.Set(pairs[i], pairs[i+1])
		}
		return out
	}
	for _, tc := range []struct {
		r    request
		code int
		want string
	}{
		{request{}, 200, ""},
		{request{}, 422, ""},
		{request{}, 499, ""},
		{request{}, 500, "the server failed"},
		{request{}, 503, "the server failed"},
		{request{part: "proxy"}, 503, ""},
		{request{part: "log"}, 503, ""},
		{request{part: "proxy"}, 502, "the server failed"},
		{request{part: "status"}, 503, "the server failed"},
		{request{}, 504, "it had time"},
		{request{query: values("timeout", "1h")}, 504, "it had time"},
		{request{query: values("timeout", "1ns")}, 504, ""},
		{request{query: values("timeout", "1ns")}, 400, "it had no time"},
		{request{query: values("timeout", "1ns", "watch", "1")}, 400, ""},
		{request{query: values("timeout", "1ns", "watch", "1")}, 504, "it had time"},
		{request{query: values("timeout", "1ns"), part: "log"}, 404, ""},
		{request{query: values("timeout", "1ns"), part: "scale"}, 404, "it had no time"},
		{request{query: values("timeout", "1ns"), part: "attach", path: "/a/..%2f/attach"}, 504, ""},
		{request{query: values("timeout", "1ns"), part: "attach", path: "/a/b/attach"}, 504, "it had time"},
		{request{part: "attach", path: "/a/..%2f/attach"}, 504, "it had time"},
	} {
		if got := tc.r.wrong(tc.code); got != tc.want {
			t.Errorf("%s: %d is %q, want %q", tc.r, tc.code, got, tc.want)
		}
	}
}
