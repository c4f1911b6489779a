package spec

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
)

// kubeconfig is one of a server that is asked about tokens. It is in Terraform's state:
// what is secret can only be in files of the masters.
type kubeconfig struct {
	header         `json:",inline"`
	Preferences    map[string]any `json:"preferences,omitempty"`
	CurrentContext string         `json:"current-context"`
	Clusters       []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server        string `json:"server"`
			TLSServerName string `json:"tls-server-name,omitempty"`
			CA            string `json:"certificate-authority,omitempty"`
			CAData        []byte `json:"certificate-authority-data,omitempty"`
			ProxyURL      string `json:"proxy-url,omitempty"`
		} `json:"cluster"`
	} `json:"clusters"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user,omitempty"`
		} `json:"context"`
	} `json:"contexts"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			Certificate     string `json:"client-certificate,omitempty"`
			CertificateData []byte `json:"client-certificate-data,omitempty"`
			Key             string `json:"client-key,omitempty"`
			KeyData         string `json:"client-key-data,omitempty"`
			Token           string `json:"token,omitempty"`
			TokenFile       string `json:"tokenFile,omitempty"`
			Username        string `json:"username,omitempty"`
			Password        string `json:"password,omitempty"`
		} `json:"user"`
	} `json:"users"`
}

func validateTokenWebhook(text string) error {
	var c kubeconfig
	if err := decode(text, "v1", "Config", &c, &c.header); err != nil {
		return err
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	file := func(at, name string) {
		if name != "" && !path.IsAbs(name) {
			wrong("%s: %q is no absolute path (of a file of the masters)", at, name)
		}
	}
	secret := func(at, value, instead string) {
		if value != "" {
			wrong("%s: it would be in Terraform's state: name a file of the masters in %s", at, instead)
		}
	}
	var clusters, users []string
	for i, cl := range c.Clusters {
		clusters = append(clusters, cl.Name)
		at := fmt.Sprintf("clusters[%d].cluster.", i)
		if u, err := url.Parse(cl.Cluster.Server); err != nil || u.Scheme != "https" || u.Host == "" {
			wrong("%sserver: %q is no https URL", at, cl.Cluster.Server)
		}
		file(at+"certificate-authority", cl.Cluster.CA)
	}
	for i, u := range c.Users {
		users = append(users, u.Name)
		at := fmt.Sprintf("users[%d].user.", i)
		secret(at+"client-key-data", u.User.KeyData, "client-key")
		secret(at+"token", u.User.Token, "tokenFile")
		secret(at+"password", u.User.Password, "tokenFile")
		file(at+"client-certificate", u.User.Certificate)
		file(at+"client-key", u.User.Key)
		file(at+"tokenFile", u.User.TokenFile)
		certificate, key := u.User.Certificate != "" || len(u.User.CertificateData) > 0, u.User.Key != "" || u.User.KeyData != ""
		if certificate != key {
			wrong("%sclient-certificate: it and its client-key are needed together", at)
		}
	}
	current := false
	for i, x := range c.Contexts {
		current = current || x.Name == c.CurrentContext
		if !slices.Contains(clusters, x.Context.Cluster) {
			wrong("contexts[%d].context.cluster: there is no cluster %q", i, x.Context.Cluster)
		}
		if x.Context.User != "" && !slices.Contains(users, x.Context.User) {
			wrong("contexts[%d].context.user: there is no user %q", i, x.Context.User)
		}
	}
	if !current {
		wrong("current-context: there is no context %q", c.CurrentContext)
	}
	return errors.Join(errs...)
}
