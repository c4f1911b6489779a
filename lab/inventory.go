package lab

// Inventory is a lab as its users need it.
type Inventory struct {
	Name  string                   `json:"name"`
	SSH   SSH                      `json:"ssh"`
	Hosts map[string]InventoryHost `json:"hosts"`
}

// SSH is how to log in, on every host.
type SSH struct {
	User           string `json:"user"`
	PrivateKeyFile string `json:"private_key_file"`
}

// InventoryHost is one server.
type InventoryHost struct {
	Address string `json:"address"`
	HostKey string `json:"host_key"`
}

// Variables are the Terraform variables of examples/: hosts by role.
type Variables struct {
	SSH     SSH                      `json:"ssh"`
	Masters map[string]InventoryHost `json:"masters"`
	Workers map[string]InventoryHost `json:"workers"`
}

// Inventory returns the lab's hosts and the way into them.
func (l *Lab) Inventory() Inventory {
	out := Inventory{Name: l.Name, SSH: SSH{User: "root", PrivateKeyFile: l.KeyFile()}, Hosts: map[string]InventoryHost{}}
	for _, h := range l.Hosts {
		out.Hosts[h.Name] = InventoryHost{Address: h.Address, HostKey: h.HostKey}
	}
	return out
}

// Variables returns Terraform variables with the hosts named in each role.
func (l *Lab) Variables(masters, workers []string) (Variables, error) {
	v := Variables{SSH: l.Inventory().SSH, Masters: map[string]InventoryHost{}, Workers: map[string]InventoryHost{}}
	for names, role := range map[*[]string]map[string]InventoryHost{&masters: v.Masters, &workers: v.Workers} {
		for _, name := range *names {
			h, err := l.Host(name)
			if err != nil {
				return Variables{}, err
			}
			role[name] = InventoryHost{Address: h.Address, HostKey: h.HostKey}
		}
	}
	return v, nil
}
