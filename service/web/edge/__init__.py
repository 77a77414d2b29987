"""The Edge Network's wire protocol as the Mobile SDKs and the Web SDK speak it."""
