package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/renewal"
)

// askKubelets asks the kubelet of each node when the certificates of its server end, as
// the API server asks kubelets.
func askKubelets(ctx context.Context, nodes []nodeStatus, c config.KubeletClient) {
	creds, err := credentials(config.APIClient{CAFile: c.CAFile, KeyPair: c.KeyPair})
	var wg sync.WaitGroup
	for i := range nodes {
		n := &nodes[i]
		if err != nil {
			n.CertificateProblem = err.Error()
			continue
		}
		wg.Go(func() {
			var err error
			if n.Certificates, err = askKubelet(ctx, net.JoinHostPort(n.Address, strconv.Itoa(config.KubeletPort)), creds); err != nil {
				n.CertificateProblem = err.Error()
			}
		})
	}
	wg.Wait()
}

func askKubelet(ctx context.Context, address string, creds *tls.Config) (certificates, error) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	creds = creds.Clone()
	creds.ServerName = "" // a kubelet is known by its address
	client := http.Client{Transport: &http.Transport{TLSClientConfig: creds, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its kubelet says %s", resp.Status)
	}
	out, err := parseExpiry(resp.Body)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("its kubelet does not tell %s", renewal.ExpiryMetric)
	}
	return out, err
}

// parseExpiry finds the ends of certificates among metrics, the first to end first.
func parseExpiry(metrics io.Reader) (certificates, error) {
	var out certificates
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), renewal.ExpiryMetric+`{certificate="`)
		name, value, cut := strings.Cut(rest, `"} `)
		if !ok || !cut {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("%s of %s is %q", renewal.ExpiryMetric, name, value)
		}
		out = append(out, certificate{File: name, Ends: time.Unix(int64(seconds), 0).UTC()})
	}
	out.sort()
	return out, lines.Err()
}
