"""The rows of the scoreboard that break processes; each module measures one."""
