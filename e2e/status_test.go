//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

type part struct {
	Name, Role, Problem, Version string
	CertificateEnds              time.Time
	Certificates                 []ending
}

type ending struct {
	File string
	Ends time.Time
}

// clusterStatus is as much of gantry cluster status -o json as is looked at.
type clusterStatus struct {
	Name                       string
	Masters, Store, Nodes      []part
	StoreProblem, NodesProblem string
	Certificates               []ending
}

func statusOn(ctx context.Context, h *lab.Host) (clusterStatus, error) {
	var s clusterStatus
	out, err := h.Run(ctx, config.Binary("gantry")+" cluster status -o json")
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	return s, err
}

// problems are the names of those that have one.
func problems(parts []part) []string {
	var out []string
	for _, p := range parts {
		if p.Problem != "" {
			out = append(out, p.Name)
		}
	}
	return out
}

// lossIsTold checks what is told on a master that lives while another is lost.
func lossIsTold(ctx context.Context, h *lab.Host, lost string) error {
	s, err := statusOn(ctx, h)
	if err != nil {
		return err
	}
	leaders := 0
	for _, m := range s.Store {
		if m.Role == "leader" && m.Name != lost {
			leaders++
		}
	}
	one := []string{lost}
	if s.Name != clusterName || len(s.Masters) != 3 || len(s.Store) != 3 || len(s.Nodes) != 4 || leaders != 1 ||
		!slices.Equal(problems(s.Masters), one) || !slices.Equal(problems(s.Store), one) || s.StoreProblem+s.NodesProblem != "" {
		return fmt.Errorf("%s tells, while %s is lost: %+v", h.Name, lost, s)
	}
	for _, m := range s.Masters {
		if m.Name != lost && (!strings.HasPrefix(m.Version, "v1.") || time.Until(m.CertificateEnds) < 24*time.Hour) {
			return fmt.Errorf("%s tells of master %s: %+v", h.Name, m.Name, m)
		}
	}
	if len(s.Certificates) < 10 || time.Until(s.Certificates[0].Ends) < 24*time.Hour {
		return fmt.Errorf("%s tells of its certificates: %+v", h.Name, s.Certificates)
	}
	return nil
}

// statusTells checks, on each master that lives, what is told of the cluster while
// one is lost; and on one of them, what is left of that when no API answers.
func (f *Flow) statusTells(ctx context.Context, lost string) error {
	var living []*lab.Host
	for _, name := range without(f.Masters, lost) {
		h, err := f.Lab.Host(name)
		if err != nil {
			return err
		}
		living = append(living, h)
		if err := soon(func(ctx context.Context) error { return lossIsTold(ctx, h, lost) })(ctx); err != nil {
			return err
		}
	}
	// The tables, with a certificate that cannot be read.
	const table = ": >/etc/gantry/pki/broken.crt; %s cluster status; ended=$?; rm /etc/gantry/pki/broken.crt; exit $ended"
	out, err := living[0].Run(ctx, fmt.Sprintf(table, config.Binary("gantry")))
	if err != nil {
		return err
	}
	for _, want := range []string{"Cluster " + clusterName, "\nMASTER ", "\nSTORE ", "\nNODE ", "\n" + lost + " ", "\n" + living[0].Name + " ", "\nbroken.crt ", "broken.crt is not PEM"} {
		if !strings.Contains(string(out), want) {
			return fmt.Errorf("%s prints no %q:\n%s", living[0].Name, want, out)
		}
	}
	for _, h := range living {
		if _, err := h.Run(ctx, "systemctl stop "+config.APIServer.Unit()); err != nil {
			return err
		}
	}
	s, err := statusOn(ctx, living[0])
	for _, h := range living {
		if _, err := h.Run(ctx, "systemctl start "+config.APIServer.Unit()); err != nil {
			return err
		}
	}
	if err != nil || len(problems(s.Masters)) != 3 || !slices.Equal(problems(s.Store), []string{lost}) || s.NodesProblem == "" || s.StoreProblem != "" || len(s.Certificates) < 10 {
		return fmt.Errorf("without any API it tells (%w): %+v", err, s)
	}
	return nil
}
