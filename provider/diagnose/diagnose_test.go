package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/step"
)

func hostError(kind error) error {
	return &host.Error{Kind: kind, Host: "w1 (192.0.2.1)", Doing: "log in", Err: errors.New("why")}
}

func command(stdout, stderr string) error {
	return &host.CommandError{Host: "w1", Command: host.Command{Argv: []string{"systemctl", "restart", "x"}}, Status: 3, Stdout: stdout, Stderr: stderr}
}

// texts are diagnostics as "severity: summary: detail", one each.
func texts(diags diag.Diagnostics) []string {
	var out []string
	for _, d := range diags {
		out = append(out, fmt.Sprintf("%s: %s: %s", d.Severity(), d.Summary(), d.Detail()))
	}
	return out
}

func expect(t *testing.T, diags diag.Diagnostics, want ...string) {
	t.Helper()
	got := texts(diags)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%q is missing", want[i])
		case i >= len(want):
			t.Errorf("%q is too much", got[i])
		case got[i] != want[i]:
			t.Errorf("got\n%q, want\n%q", got[i], want[i])
		}
	}
}

const otherwise = "Apply again once the cause is mended: steps that are done are not done again."

func TestHost(t *testing.T) {
	failed := func(err error) error {
		return fmt.Errorf("wrapped: %w", &step.Error{Host: "w1 (192.0.2.1)", Step: "start node processes", Change: "enable and start x", Err: err})
	}
	where := "Host:    w1 (192.0.2.1)\nStep:    start node processes\nChange:  enable and start x\n"
	for name, tc := range map[string]struct {
		err             error
		summary, detail string
	}{
		"a failure of no step": {errors.New("no idea"), "Host w1 is not ready", "no idea\n\n" + otherwise},
		"a step":               {failed(errors.New("no idea")), `Host w1: step "start node processes" failed`, where + "no idea\n\n" + otherwise},
		"a command of a step": {failed(command(" said\n", "first\nsecond\n")), `Host w1: step "start node processes" failed`,
			where + "Command: systemctl restart x\nExit status: 3\nOutput:\nsaid\nStderr:\nfirst\nsecond\n\n" + otherwise},
		"a command that printed nothing": {command("\n", ""), "Host w1 is not ready", "Command: systemctl restart x\nExit status: 3\nStderr:\n\n\n" + otherwise},
		"a server that is unfit": {fmt.Errorf("wrapped: %w", &preflight.Error{Host: "w1 (192.0.2.1)", Findings: []preflight.Finding{{Problem: "port 1 is in use", Remedy: "free it"}, {Problem: "no disk", Remedy: "add one"}}}),
			"Host w1 cannot become a node", "Host: w1 (192.0.2.1)\n- port 1 is in use:\n  free it\n- no disk:\n  add one\n\nNothing was changed on the host."},
	} {
		if summary, detail := Host("w1", tc.err); summary != tc.summary || detail != tc.detail {
			t.Errorf("%s:\n%q\n%q, want\n%q\n%q", name, summary, detail, tc.summary, tc.detail)
		}
	}
}

func TestRemedy(t *testing.T) {
	for want, err := range map[string]error{
		"set the host's host_key to the new key":    hostError(host.ErrHostKeyChanged),
		"Add the server's key to the known_hosts":   hostError(host.ErrHostKeyUnknown),
		"Check the provider's ssh block":            hostError(host.ErrAuth),
		"Log in as root, or let the user use sudo":  hostError(host.ErrPermission),
		"Check that the server is up":               hostError(host.ErrUnreachable),
		"Make room on the server":                   command("", "tar: No space left on device"),
		"A server belongs to one cluster at a time": &install.ForeignError{},
		"it goes on where it was stopped":           context.Canceled,
		otherwise:                                   errors.New("any"),
	} {
		if got := Remedy(fmt.Errorf("wrapped: %w", err)); !strings.Contains(got, want) {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestTextHasARemedyWhereAConnectionOrACommandFailed(t *testing.T) {
	for _, tc := range []struct {
		err    error
		remedy string
	}{
		{errors.New("its pools are a and b"), ""},
		{hostError(host.ErrAuth), "\n\nCheck the provider's ssh block"},
		{command("", "x"), "\n\n" + otherwise},
	} {
		rest, said := strings.CutPrefix(Text(tc.err), tc.err.Error())
		if !said || !strings.HasPrefix(rest, tc.remedy) || (rest == "") != (tc.remedy == "") {
			t.Errorf("%v: %q", tc.err, Text(tc.err))
		}
	}
}

func TestFirstLine(t *testing.T) {
	long := strings.Repeat("x", 301)
	for in, want := range map[string]string{"": "", "one": "one", "one\ntwo": "one", "\ntwo": "", long: long, long + "y": long, long + "yz": long, strings.Repeat("é", 200): strings.Repeat("é", 151)} {
		if got := FirstLine(in); got != want {
			t.Errorf("%q is cut to %q, want %q", in, got, want)
		}
	}
}

// report has a host of each kind, and a warning.
func report() bootstrap.Report {
	return bootstrap.Report{
		Hosts: map[string]bootstrap.Status{
			"w1": {State: bootstrap.Ready}, "w2": {State: bootstrap.Gone}, "w4": {State: bootstrap.Drifted, Message: "it stopped"}, "w3": {State: bootstrap.Pending, Err: errors.New("why")},
		},
		Warnings: []string{"a file stays"},
	}
}

func TestFailuresAreErrorsAndPendingHostsWarnings(t *testing.T) {
	var diags diag.Diagnostics
	Failures(report(), &diags)
	expect(t, diags, "Error: Host w3 is not ready: why\n\n"+otherwise, "Error: Host w4 is not ready: host w4 is drifted: it stopped\n\n"+otherwise,
		"Warning: Not everything could be completed: a file stays")
	const pending = "\nThe host is marked pending; the next apply takes it up."
	diags = nil
	Pending(report(), &diags)
	expect(t, diags, "Warning: Host w3 is not ready: why\n\n"+otherwise+pending, "Warning: Host w4 is not ready: host w4 is drifted: it stopped\n\n"+otherwise+pending,
		"Warning: Not everything could be completed: a file stays")
}

func TestADestroySaysHowItEndsAfterAll(t *testing.T) {
	notDrained := &step.Error{Step: bootstrap.DrainStep, Err: hostError(host.ErrUnreachable)}
	const pods, servers = "Servers whose pods could not be moved stay", "Servers that cannot be reached stay in state"
	for name, tc := range map[string]struct {
		host, whole error
		want        []string
	}{
		"nothing failed":            {},
		"a failure of another kind": {host: errors.New("x")},
		"a step that is no drain":   {host: &step.Error{Step: "wipe", Err: errors.New("x")}},
		"a drain":                   {host: notDrained, want: []string{pods}},
		"a host out of reach":       {host: hostError(host.ErrUnreachable), want: []string{servers}},
		"all masters out of reach":  {whole: hostError(host.ErrUnreachable), want: []string{servers}},
		"both":                      {host: notDrained, whole: hostError(host.ErrUnreachable), want: []string{pods, servers}},
	} {
		r := bootstrap.Report{Hosts: map[string]bootstrap.Status{"w1": {State: bootstrap.Gone}}}
		if tc.host != nil {
			r.Hosts["w2"] = bootstrap.Status{State: bootstrap.Pending, Err: tc.host}
		}
		var diags diag.Diagnostics
		Destroy(r, tc.whole, &diags)
		if (diags.ErrorsCount() == 1) != (tc.host != nil) {
			t.Errorf("%s: %v", name, texts(diags))
		}
		var got []string
		for _, d := range diags.Warnings() {
			got = append(got, d.Summary())
		}
		if strings.Join(got, "|") != strings.Join(tc.want, "|") {
			t.Errorf("%s: warns of %v, want %v", name, got, tc.want)
		}
	}
}

func TestARefreshWarnsOfWhatItDidNotSee(t *testing.T) {
	r := report()
	r.Hosts["w9"] = bootstrap.Status{State: bootstrap.Unknown, Err: hostError(host.ErrUnreachable)}
	var diags diag.Diagnostics
	Refresh(r, &diags)
	_, detail := Host("w9", r.Hosts["w9"].Err)
	expect(t, diags, "Warning: Host w9 could not be observed: "+detail+"\nIts state is kept as it was.",
		"Warning: Not everything could be checked: a file stays\nA plan may show no difference where there is one.")
}

func TestAnImportWarnsOfHostsOutOfReach(t *testing.T) {
	var diags diag.Diagnostics
	Import(map[string]error{"w2": errors.New("b"), "w1": errors.New("a")}, &diags)
	const rest = "Its host key is not known, and the next plan goes to the host once more. It said: "
	expect(t, diags, "Warning: Host w1 could not be reached: "+rest+"a", "Warning: Host w2 could not be reached: "+rest+"b")
}

func TestAPreflightIsNeverAnError(t *testing.T) {
	unfit := &preflight.Error{Host: "new (192.0.2.1)", Findings: []preflight.Finding{{Problem: "no disk", Remedy: "add one"}}}
	var diags diag.Diagnostics
	Preflight(map[string]error{
		"new": fmt.Errorf("wrapped: %w", unfit), "moved": errors.New("no route"),
		"pending": &preflight.Doubt{Host: "pending (192.0.2.1)", Problem: "it does not reach master m2"}, "z": errors.New("no route"),
	}, &diags)
	_, detail := Host("new", unfit)
	expect(t, diags,
		"Warning: Host moved could not be checked: no route\nWhether it can become a node is seen when the plan is applied.",
		"Warning: Host new fails preflight checks: "+detail,
		"Warning: Host pending does not reach every master: pending (192.0.2.1): it does not reach master m2",
		"Warning: Host z could not be checked: no route\nWhether it can become a node is seen when the plan is applied.")
}

func TestAPreviewSaysWhatItDoesNotKnow(t *testing.T) {
	var diags diag.Diagnostics
	Preview("Pool a", []string{"one", "two"}, nil, &diags)
	Preview("Pool b", []string{"one"}, errors.New("no route"), &diags)
	expect(t, diags, "Warning: Pool a: one\ntwo", "Warning: Pool b: one\nMore could not be determined: no route")
}
