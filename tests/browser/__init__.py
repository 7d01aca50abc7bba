"""The widgets in a real JupyterLab and a real Chromium: what no other test can see. Keep these few."""
